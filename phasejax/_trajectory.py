"""The path of one cell through its parameters, by the same steps that a sweep takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from ._check import bad, whole
from ._precision import precision
from ._types import AnyArray, Whole
from .devices import check_platform
from .dynamics import Discrete, Flow
from .engine import kernel
from .engine.structure import find_structure
from .grid import LARGEST_SEED
from .ode.integrator import RUNNING, TURNED_STIFF
from .problems import Problem
from .problems.problem import initial_params, start_noise


def trajectory(
    problem: Problem,
    dynamics: Callable | Discrete | Flow,
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

    Returns the parameters with a leading axis `[steps]` or `[times]`, in float64. Raises a
    `ValueError` for wrong arguments, and a `RuntimeError` if a flow needs more than `max_steps`.
    """
    continuous = times is not None
    if continuous == (steps is not None):
        raise ValueError("steps, times: give one of them, steps for an optimizer, times for a flow")
    at = _ascending("times", times) if continuous else _ascending("steps", steps)
    kind = Flow if continuous else Discrete
    given = dynamics if isinstance(dynamics, Discrete | Flow) else kind.of(dynamics)
    if not isinstance(given, kind):
        raise TypeError(f"dynamics = {given.name}: an optimizer has steps, a flow has times")
    given.check_names(set(hyperparameters))
    given.check_values({k: given.native(k, v) for k, v in hyperparameters.items()})
    if isinstance(given, Flow):
        given.check("float64")
    seed = whole("seed", seed, least=0, most=LARGEST_SEED)
    check_platform()
    params = initial_params(problem, seed)
    edges = np.concatenate([[0.0], at[1:] if at[0] == 0 else at])
    found = find_structure(problem, given, hyperparameters, {}, params, edges, "float64")
    programs, fixed = found.programs_of({}), _traced(found.numbers)
    with precision():
        params = jax.tree.map(lambda x: x[None], params)
        if isinstance(given, Flow):
            path = list(_flow(given, programs, problem, fixed, params, edges, bool(at[0] == 0)))
        else:
            path = list(_optimizer(programs[0], problem, fixed, params, at, seed))
    return jax.tree.map(lambda *x: np.concatenate([np.asarray(v) for v in x]), *path)


def _ascending(name: str, values: Any) -> np.ndarray:
    """Check steps (whole numbers) or times; a float array."""
    listed = [values] if np.ndim(values) == 0 else list(values)
    at = np.asarray([whole(name, v, least=0) for v in listed] if name == "steps" else listed, float)
    if np.ndim(values) != 1 or not len(at) or at[0] < 0 or not np.all(np.diff(at) > 0):
        raise bad(name, values, "a list of ascending numbers, none negative")
    if not np.isfinite(at[-1]):
        raise bad(name, values, "finite")
    return at


def _traced(numbers: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Numbers as arguments of a compiled program: others compile nothing new."""
    return {name: np.asarray(value) for name, value in numbers.items()}


@kernel.jit
def _start(program: Any, fixed: dict, params: PyTree, noise: PyTree = ()) -> PyTree:
    return jax.vmap(lambda *cell: program.start(fixed, *cell))(params, noise)


@kernel.jit
def _advance(program: Any, loss: Any, fixed: dict, state: PyTree, portion: PyTree) -> PyTree:
    return program.advance(loss, fixed, {}, state, portion)[0]


def _optimizer(
    program: Discrete, problem: Problem, fixed: dict, params: PyTree, at: np.ndarray, seed: int
) -> Iterator[PyTree]:
    noise = () if problem.batch_loss is None else jax.tree.map(lambda x: x[None], start_noise(seed))
    state = _start(program, fixed, params, noise)
    for length in np.diff(at, prepend=0):
        if length:
            portion = np.array([length], np.int32)
            state = _advance(program, problem.objective, fixed, state, portion)
        yield state[0]


def _flow(
    dynamics: Flow,
    programs: list[Any],
    problem: Problem,
    fixed: dict,
    params: PyTree,
    edges: np.ndarray,
    with_start: bool,
) -> Iterator[PyTree]:
    first, *others = programs
    state = _start(first, fixed, params)
    if with_start:
        yield state.y[0]
    for last in range(1, len(edges)):
        portion = dynamics.portion(edges, last, int(dynamics.max_steps))
        state = _advance(first, problem.objective, fixed, state, portion)
        if others and int(state.halted[0]) == TURNED_STIFF:
            first, others = others[0], []
            state = state._replace(halted=np.full(1, RUNNING, np.int32))
            state = _advance(first, problem.objective, fixed, state, portion)
        if int(state.window[0]) < last:
            raise RuntimeError(
                f"{dynamics.name}: the solver stopped at t = {float(state.time[0]):g} after "
                f"{int(state.steps[0])} of max_steps = {dynamics.max_steps} steps"
            )
        yield state.y[0]
