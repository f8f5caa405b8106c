"""The parameters of one cell along its run, by the rule of a sweep."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from ._check import bad, whole
from ._precision import precision
from ._types import AnyArray, Whole
from .devices import check_platform
from .dynamics import Dynamics
from .dynamics.names import as_dynamics, namesakes
from .engine import kernel
from .engine.structure import find_structure
from .grid import LARGEST_SEED
from .problems import Problem
from .problems.problem import initial_params, start_noise
from .program import Program


def trajectory(
    problem: Problem,
    dynamics: Callable | Dynamics,
    *,
    steps: Sequence[Whole] | AnyArray | None = None,
    times: Sequence[float] | AnyArray | None = None,
    seed: Whole = 0,
    **hyperparameters: Any,
) -> PyTree[np.ndarray]:
    """Return the parameters of one cell at chosen steps of an optimizer, or times of a flow.

    **Arguments:**

    - `problem`, `dynamics`: as in `phasejax.sweep`.
    - `steps`: ascending numbers of optimizer steps; 0 is the start.
    - `times`: for a flow, ascending times; 0 is the start.
    - `seed`: draws the starting point.
    - `hyperparameters`: by the names that `dynamics` gives them.

    The rule of the steps is that of a sweep, but the compiled program is another one, which rounds
    differently, and a cell that spikes amplifies rounding by decades. `phasejax.replay` returns
    the losses of a stored cell with the bits of its sweep.

    Returns the parameters with a leading axis `[steps]` or `[times]`, in float64. Raises a
    `ValueError` or a `TypeError` for wrong arguments, and a `RuntimeError` if the solver of a flow
    stops early, for example after `max_steps`.
    """
    if (times is not None) == (steps is not None):
        raise ValueError("steps, times: give one of them, steps for an optimizer, times for a flow")
    unit = "time" if steps is None else "step"
    at = _ascending("steps", steps) if times is None else _ascending("times", times)
    given = as_dynamics(dynamics, unit)
    if given.unit != unit:
        raise TypeError(f"dynamics = {given.name}: an optimizer has steps, a flow has times")
    given.check_names(set(hyperparameters), namesakes(given.factory))
    given.check_values({k: given.native(k, v) for k, v in hyperparameters.items()})
    if problem.evaluate_every > 1:  # which is about the recorded loss
        problem = replace(problem, evaluate_every=1)
    edges = np.concatenate([[0.0], at[1:] if at[0] == 0 else at])
    if edges[-1]:  # else only the start is asked for
        given.check_run(problem, edges[-1], 1, "float64")
    seed = whole("seed", seed, least=0, most=LARGEST_SEED)
    check_platform()
    params = initial_params(problem, seed)
    found = find_structure(problem, given, hyperparameters, {}, params, edges, "float64")
    with precision():
        one_cell = jax.tree.map(lambda x: x[None], params)
        noise = jax.tree.map(lambda x: x[None], start_noise(seed)) if given.draws(problem) else ()
        start = one_cell, noise
        path = list(
            _path(given, found.programs_of({}), problem, _traced(found.numbers), start, edges)
        )
    path = path if at[0] == 0 else path[1:]
    return jax.tree.map(lambda *x: np.concatenate([np.asarray(v) for v in x]), *path)


def _ascending(name: str, values: Any) -> np.ndarray:
    """Check steps (whole numbers) or times, and return them as a float array."""
    listed = [values] if np.ndim(values) == 0 else list(values)
    at = np.asarray([whole(name, v, least=0) for v in listed] if name == "steps" else listed, float)
    if np.ndim(values) != 1 or not len(at) or at[0] < 0 or not np.all(np.diff(at) > 0):
        raise bad(name, values, "a list of ascending numbers, none negative")
    if not np.isfinite(at[-1]):
        raise bad(name, values, "finite")
    return at


def _traced(numbers: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Return numbers as arrays, which are arguments of a program and not compiled in."""
    return {name: np.asarray(value) for name, value in numbers.items()}


@kernel.jit
def _start(program: Program, fixed: dict, params: PyTree, noise: PyTree) -> PyTree:
    return jax.vmap(lambda *cell: program.start(fixed, *cell))(params, noise)


@kernel.jit
def _advance(program: Program, loss: Any, fixed: dict, state: PyTree, portion: PyTree) -> PyTree:
    return program.advance(loss, fixed, {}, state, portion)[0]


def _path(
    dynamics: Dynamics,
    programs: list[Program],
    problem: Problem,
    fixed: dict,
    start: tuple[PyTree, PyTree],
    edges: np.ndarray,
) -> Iterator[PyTree]:
    """Yield the parameters at each edge, `[1, ...]`."""
    program, *others = programs
    state = _start(program, fixed, *start)
    yield program.params_of(state)
    for last in range(1, len(edges)):
        portion = dynamics.portion(edges, last)
        state = _advance(program, problem.objective, fixed, state, portion)
        while others and program.stopped(state, last):
            program, *others = others
            state = _advance(program, problem.objective, fixed, program.take_over(state), portion)
        if reason := program.stopped(state, last):
            raise RuntimeError(f"{dynamics.name}: {reason}")
        yield program.params_of(state)
