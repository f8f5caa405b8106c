"""The path of one cell through its parameters, by the same steps that a sweep takes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from . import kernel
from ._check import bad
from .devices import check_platform
from .dynamics import Discrete, Flow
from .dynamics.integrator import RUNNING, TURNED_STIFF
from .problems import Problem
from .problems.problem import initial_params, noise_key


def trajectory(
    problem: Problem,
    dynamics: Callable | Discrete | Flow,
    *,
    steps: Sequence[int] | np.ndarray | None = None,
    times: Sequence[float] | np.ndarray | None = None,
    seed: int = 0,
    **hyperparameters: Any,
) -> PyTree[np.ndarray]:
    """Return the parameters of one cell at chosen steps of an optimizer, or times of a flow.

    **Arguments:**

    - `problem`, `dynamics`: as in `phasejax.sweep`.
    - `steps`: ascending numbers of optimizer steps; 0 is the start.
    - `times`: for a flow, ascending times; 0 is the start.
    - `seed`: draws the starting point.
    - `hyperparameters`: by the names that `dynamics` gives them.

    Returns the parameters with a leading axis `[steps]` or `[times]`, in float64. Raises a
    `ValueError` for wrong arguments, and a `RuntimeError` if a flow needs more than `max_steps`.
    """
    continuous = times is not None
    if continuous == (steps is not None):
        raise ValueError("steps, times: give one of them, steps for an optimizer, times for a flow")
    at = np.asarray(times if continuous else steps, float)
    if at.ndim != 1 or not len(at) or at[0] < 0 or np.any(np.diff(at) <= 0):
        raise bad("times" if continuous else "steps", at.tolist(), "ascending, none negative")
    kind = Flow if continuous else Discrete
    given = dynamics if isinstance(dynamics, Discrete | Flow) else kind.of(dynamics)
    if not isinstance(given, kind):
        raise TypeError(f"dynamics = {given.name}: an optimizer has steps, a flow has times")
    given.check_names(set(hyperparameters))
    given, numbers = given.split(hyperparameters)
    given.check_values(numbers)
    check_platform()
    with jax.enable_x64(True):
        params = jax.tree.map(lambda x: x[None], initial_params(problem, seed))
        if isinstance(given, Flow):
            given.check("float64")
            path = list(_flow(given, problem, numbers, params, at))
        else:
            path = list(_optimizer(given, problem, numbers, params, at, seed))
    return jax.tree.map(lambda *x: np.concatenate([np.asarray(v) for v in x]), *path)


def _traced(numbers: dict[str, float]) -> dict[str, np.ndarray]:
    """Numbers as arguments of a compiled program: others compile nothing new."""
    return {name: np.asarray(value) for name, value in numbers.items()}


@kernel.jit
def _start(program: Any, fixed: dict, params: PyTree, keys: PyTree = ()) -> PyTree:
    return jax.vmap(lambda *cell: program.start(fixed, *cell))(params, keys)


@kernel.jit
def _advance(program: Any, loss: Any, fixed: dict, state: PyTree, portion: PyTree) -> PyTree:
    return program.advance(loss, fixed, {}, state, portion)[0]


def _optimizer(
    dynamics: Discrete, problem: Problem, numbers: dict, params: PyTree, at: np.ndarray, seed: int
) -> Iterator[PyTree]:
    fixed, objective = _traced(numbers), problem.objective
    keys = () if problem.batch_loss is None else noise_key(seed)[None]
    state = _start(dynamics, fixed, params, keys)
    for length in np.diff(at, prepend=0):
        if length:
            state = _advance(dynamics, objective, fixed, state, np.array([length], np.int32))
        yield state[0]


def _flow(
    dynamics: Flow, problem: Problem, numbers: dict, params: PyTree, at: np.ndarray
) -> Iterator[PyTree]:
    fixed, start = _traced(numbers), at[0] == 0
    edges = np.concatenate([[0.0], at[1:] if start else at])
    first, *others = dynamics.integrators(params, numbers, len(edges) - 1)
    state = _start(first, fixed, params)
    if start:
        yield state.y[0]
    for last in range(1, len(edges)):
        portion = dynamics.portion(edges, last, dynamics.max_steps)
        state = _advance(first, problem.loss, fixed, state, portion)
        if others and int(state.halted[0]) == TURNED_STIFF:
            first, others = replace(others[0], windows=first.windows), []
            state = state._replace(halted=np.full(1, RUNNING, np.int32))
            state = _advance(first, problem.loss, fixed, state, portion)
        if int(state.window[0]) < last:
            raise RuntimeError(
                f"{dynamics.name}: the solver stopped at t = {float(state.time[0]):g} after "
                f"{int(state.steps[0])} of max_steps = {dynamics.max_steps} steps"
            )
        yield state.y[0]
