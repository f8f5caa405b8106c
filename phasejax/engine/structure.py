"""Which hyper-parameters are numbers of a compiled program, and which decide its structure.

A number is an argument of the program, so other values compile nothing. What Python must know
while it traces (a bool, a name, a number of steps that an `if` asks about, the length of a memory)
is compiled in, and an axis of such values has a program for each of them.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from .._check import bad
from .._precision import precision
from ..dynamics import Dynamics
from ..identity import trace_digest
from ..problems.problem import Problem, is_array, start_noise
from ..program import Program, ended_cells, start_cells

MOST_PROGRAMS = 64
"""Most programs of a sweep: each takes about a second to compile."""


class Structure(NamedTuple):
    """How the hyper-parameters of a sweep enter its programs.

    - `numbers`: fixed values that are arguments of every program.
    - `axes`: axes whose values are compiled in.
    - `programs`: programs, in the order in which they run, by the places of values on `axes`.
    - `traces`: digests of what all programs compute.
    """

    numbers: Mapping[str, float]
    axes: tuple[str, ...]
    programs: Mapping[tuple, list[Program]]
    traces: tuple[str, ...]

    def programs_of(self, places: Mapping[str, Any]) -> list[Program]:
        """Return the programs of a cell, by its places on the axes."""
        return self.programs[tuple(int(places[name]) for name in self.axes)]


def find_structure(
    problem: Problem,
    dynamics: Dynamics,
    fixed: Mapping[str, Any],
    axes: Mapping[str, Sequence[Any]],
    params: PyTree[np.ndarray],
    edges: np.ndarray,
    dtype: str,
) -> Structure:
    """Find the hyper-parameters that may be numbers of a program, and trace all programs.

    **Arguments:**

    - `fixed`: fixed values, and `axes`: lists of values, by name, without the seed.
    - `params`: a starting point, `edges`: borders of the windows, `dtype`: of the run.

    Raises a `TypeError` if no program can be traced, and a `ValueError` if there are too many.
    """

    def chosen(places: tuple[int, ...]) -> dict[str, Any]:
        return {**fixed, **{axis: axes[axis][i] for axis, i in zip(axes, places, strict=True)}}

    @functools.cache
    def trace(places: tuple[int, ...], traced: frozenset[str]) -> tuple[list[Program], str]:
        values = chosen(places)
        try:
            with precision(dtype):
                return _trace(problem, dynamics, values, traced, axes, params, edges, dtype)
        except Exception as error:
            raise dynamics.failure(values, error) from error

    first = (0,) * len(axes)
    values = {name: axes.get(name, [value]) for name, value in chosen(first).items()}
    candidates = [name for name in values if _all_traceable(dynamics, name, values[name], dtype)]
    traced = _most_traced(candidates, functools.partial(trace, first))
    lengths = {axis: len(axes[axis]) if axis not in traced else 1 for axis in axes}
    _check_number(dynamics.name, {axis: n for axis, n in lengths.items() if axis not in traced})
    compiled_in = tuple(axis for axis in axes if axis not in traced)
    programs, traces = {}, []
    for places in itertools.product(*map(range, lengths.values())):
        place_of = dict(zip(axes, places, strict=True))
        place = tuple(place_of[axis] for axis in compiled_in)
        programs[place], digest = trace(places, traced)
        traces.append(digest)
    numbers = {name: float(value) for name, value in fixed.items() if name in traced}
    return Structure(numbers, compiled_in, programs, tuple(traces))


def _all_traceable(dynamics: Dynamics, name: str, values: Sequence[Any], dtype: str) -> bool:
    """Say whether values can be arguments of a program, and its dtype keeps them exactly."""
    return all(dynamics.may_be_traced(name, value) and _is_exact(value, dtype) for value in values)


def _is_exact(number: float, dtype: str) -> bool:
    """Say whether a dtype holds an integer exactly; floats may be rounded."""
    try:
        return isinstance(number, float) or int(np.asarray(number, dtype)) == number
    except OverflowError:
        return False


def _trace(
    problem: Problem,
    dynamics: Dynamics,
    values: Mapping[str, Any],
    traced: frozenset[str],
    axes: Mapping[str, Sequence[Any]],
    params: PyTree,
    edges: np.ndarray,
    dtype: str,
) -> tuple[list[Program], str]:
    """Trace a run of one cell; returns its programs, and the digest of what they compute.

    Numbers of `axes`, which differ from cell to cell, are those in the middle: a cell at the end of
    an axis may be a special case, such as a learning rate of zero.
    """
    values = {
        n: axes[n][len(axes[n]) // 2] if n in axes and n in traced else v for n, v in values.items()
    }
    compiled_in = {k: dynamics.native(k, v) for k, v in values.items() if k not in traced}
    numbers = {name: float(values[name]) for name in values if name in traced}
    one_cell = jax.tree.map(lambda x: np.asarray(x)[None].astype(dtype), params)
    noise = jax.tree.map(lambda x: x[None], start_noise(0)) if dynamics.draws(problem) else ()
    arrays, functions = eqx.partition(problem.objective, is_array)
    given = dynamics.with_settings(compiled_in)
    portion = given.portion(edges.astype(dtype), len(edges) - 1, 1)
    digests = []
    for program in given.programs(numbers, params, len(edges) - 1):

        def run(arrays, fixed, hyper, params, noise, portion, program=program):
            state = start_cells(program, fixed, hyper, params, noise)
            loss = eqx.combine(arrays, functions)
            return program.advance(loss, fixed, hyper, state, portion)

        fixed = {k: np.asarray(v, dtype) for k, v in numbers.items() if k not in axes}
        hyper = {k: np.asarray([v], dtype) for k, v in numbers.items() if k in axes}
        traced_run, (state, _) = jax.make_jaxpr(run, return_shape=True)(
            arrays, fixed, hyper, one_cell, noise, portion
        )
        digests.append(trace_digest(traced_run))
        start = functools.partial(start_cells, program)
        _check_state(jax.eval_shape(start, fixed, hyper, one_cell, noise), state)
        if not type(program).ended.__module__.startswith("phasejax."):  # ours is slow to trace
            ended = functools.partial(ended_cells, program, problem.objective)
            _check_ended(jax.eval_shape(ended, fixed, hyper, state))
    digest = " ".join(digests)
    known = dynamics.with_settings(compiled_in, trace=digest)
    return known.programs(numbers, params, len(edges) - 1), digest


def _check_state(before: PyTree, after: PyTree) -> None:
    """Refuse a state of one cell whose arrays change their shapes or dtypes."""
    one, other = (
        [f"{x.dtype}{list(x.shape[1:])}" for x in jax.tree.leaves(state)]
        for state in (before, after)
    )
    if one != other:
        changed = next(pair for pair in zip(one, other, strict=True) if pair[0] != pair[1])
        raise TypeError(f"the state starts with {changed[0]} where a step returns {changed[1]}")


def _check_ended(result: Any) -> None:
    """Refuse an answer to whether a cell has ended that is not one bool."""
    if result.shape != (1,) or result.dtype != bool:
        found = f"{result.dtype}{list(result.shape[1:])}"
        raise TypeError(f"ended must return one bool per cell; it returned {found}")


def _most_traced(
    candidates: Sequence[str], trace: Callable[[frozenset[str]], object]
) -> frozenset[str]:
    """Return candidates that can together be arguments of one program, added one by one."""

    def can_trace(traced: frozenset[str]) -> bool:
        try:
            trace(traced)
        except TypeError:
            return False
        return True

    everything = frozenset(candidates)
    if can_trace(everything):
        return everything
    trace(frozenset())  # raises the error if plain values fail too
    found = frozenset[str]()
    for candidate in candidates:
        if can_trace(found | {candidate}):
            found |= {candidate}
    return found


def _check_number(name: str, lengths: Mapping[str, int]) -> None:
    """Refuse more than `MOST_PROGRAMS` programs; the error names the longest axis."""
    total = 1
    for length in lengths.values():
        total *= length
    if total > MOST_PROGRAMS:
        longest = max(lengths, key=lengths.__getitem__)
        raise bad(
            longest,
            f"an axis of {lengths[longest]} values",
            f"shorter: {name} needs a program for each value of {', '.join(lengths)}, {total} in "
            f"all, at most {MOST_PROGRAMS}; where Python branches on a number, jax.numpy.where "
            "makes it an ordinary axis",
        )
