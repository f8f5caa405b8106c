"""A batch of a flow's cells, run to the end: every cell tries steps until it is there, or gives up.

A call tries a number of steps in every lane. Then cells that are done make room, and the others
close up, those with the most steps to go first: a group holds cells of like stiffness, and the
groups become fewer. Cells that have turned stiff wait for the implicit method, which comes second.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, PyTree

from ..envelope import LOSSES, Envelope, Solved
from ..grid import Cells
from ..ode.integrator import RUNNING, TURNED_STIFF, Integrator, Lane, live
from ..ode.steppers import IMPLICIT
from . import kernel
from .checkpoint import Checkpoint
from .placement import gather, groups_for, on_devices, spread, start_cells

if TYPE_CHECKING:
    from .spec import Run

CALL_WORK, FEWEST, MOST = 2e8, 32, 2048
"""Steps × cells × parameters of a call, and how few and how many steps it tries: progress moves, an
interrupt is heard, and lanes of cells that are done do not idle for long."""
GRADIENTS = 6


def solve_cells(
    run: "Run",
    cells: Cells,
    progress: Callable[[float], object] = lambda time: None,
    folder: Path | None = None,
) -> tuple[Envelope, Solved]:
    """Run a batch of a flow's cells; NumPy arrays `[cells, window]` and `[cells]`.

    Windows that an unresolved cell did not reach are nan. `folder` is where a checkpoint is kept
    and looked for.
    """
    values, count = run.grid.cells(cells), len(cells)
    whole = Envelope(*(np.full((count, run.windows), np.nan, run.dtype) for _ in LOSSES))
    solved = Solved(*(np.full(count, np.nan) for _ in Solved._fields))
    place, method = spread(np.arange(count), run), np.array(-1)
    programs = run.programs(cells)
    fixed, hyper, state = start_cells(run, programs[0], values, np.maximum(place, 0))
    checkpoint = Checkpoint(folder, cells)
    kept = checkpoint.load((method, whole, solved, place, hyper, state))
    if kept is not None:
        method, whole, solved, place, hyper, state = kept
        hyper, state = on_devices(run, (hyper, state))
        progress(float(np.asarray(state.time)[place >= 0].sum()))

    def keep(place: np.ndarray, state: Lane, at: np.ndarray) -> None:
        _write(whole, solved, place, state, at)

    for number, program in enumerate(programs):
        if number < method:
            continue
        if program.method in IMPLICIT and number > method:
            turned = np.asarray(state.halted) == TURNED_STIFF
            state = state._replace(halted=np.where(turned, RUNNING, state.halted))
            begin = _going(run, place, state)
            solved.implicit_from[place[begin]] = np.asarray(state.time)[begin]

        def save(place: np.ndarray, hyper: PyTree, state: Lane, number: int = number) -> None:
            checkpoint.save((np.array(number), whole, solved, place, hyper, state))

        after = keep, save, progress
        place, hyper, state = _follow(run, program, place, fixed, hyper, state, *after)
    keep(place, state, place >= 0)
    progress(float(run.extent * count - solved.end_time.sum()))
    return whole, solved


def _follow(
    run: "Run",
    program: Integrator,
    place: np.ndarray,
    fixed: PyTree,
    hyper: PyTree,
    state: Lane,
    keep: Callable[[np.ndarray, Lane, np.ndarray], None],
    save: Callable[[np.ndarray, PyTree, Lane], None],
    progress: Callable[[float], object],
) -> tuple[np.ndarray, PyTree, Lane]:
    """Let cells go as far as one method brings them; `keep` is told of those that make room.

    `save` is told of all after each call.
    """
    groups, calls = 0, 0
    while (going := _going(run, place, state)).any():
        # The second call is the first that knows how long steps are.
        if groups_for(going.sum(), run) != groups or calls == 1:
            groups = groups_for(going.sum(), run)
            keep(place, state, ~going)
            order, (hyper, state) = gather(run, _longest_first(run, going, state), (hyper, state))
            place = place[order]
        before = np.asarray(state.time)
        problem = run.mesh, program, run.problem.objective, fixed, hyper
        portion = run.portion(_attempts(run, groups))
        state, _ = kernel.advance(*problem, state, portion, run.lanes, np.asarray(groups, np.int32))
        calls += 1
        progress(float((np.asarray(state.time) - before)[place >= 0].sum()))
        save(place, hyper, state)
    return place, hyper, state


def _attempts(run: "Run", groups: int) -> int:
    """Steps that a call tries, so that it takes some seconds at most."""
    lanes = groups * run.lanes * run.mesh.size
    return int(np.clip(CALL_WORK / (lanes * run.size * GRADIENTS), FEWEST, MOST))


def _going(run: "Run", place: np.ndarray, state: Lane) -> np.ndarray:
    """Say of each place whether it holds a cell that still has steps to take."""
    halted, steps, window = (np.asarray(x) for x in (state.halted, state.steps, state.window))
    return (place >= 0) & np.asarray(live(halted, steps, window, run.portion(0)))


def _longest_first(run: "Run", going: np.ndarray, state: Lane) -> Int[np.ndarray, " cells"]:
    """Places of the cells that go on, by steps to go at their present length; devices in turn."""
    where = np.flatnonzero(going)
    time, step = np.asarray(state.time)[where], np.asarray(state.step)[where]
    with np.errstate(divide="ignore"):
        left = (run.extent - time) / step  # before the first step: all alike
    where = where[np.argsort(-left, kind="stable")]
    return np.concatenate([where[device :: run.mesh.size] for device in range(run.mesh.size)])


def _write(whole: Envelope, solved: Solved, place: np.ndarray, state: Lane, at: np.ndarray) -> None:
    """Put what cells at some places have come to where it belongs."""
    at = at & (place >= 0)
    cells = place[at]
    for name in LOSSES:
        getattr(whole, name)[cells] = np.asarray(getattr(state.envelope, name))[at]
    solved.solver_steps[cells] = np.asarray(state.steps)[at]
    solved.end_time[cells] = np.asarray(state.time)[at]
    solved.loss_floor[cells] = np.asarray(state.floor)[at]
