"""A batch of an optimizer's cells, run to the end: started, advanced, the finished ones retired.

A device takes turns with the groups of its lanes. A cell that can change no more gives up its
place to one that can, and the groups become fewer; shapes stay, so that nothing recompiles.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Int, PyTree

from ..envelope import Envelope
from ..grid import Cells
from . import kernel
from .checkpoint import Checkpoint
from .placement import gather, groups_for, on_devices, spread, start_cells

if TYPE_CHECKING:
    from .spec import Run

PART_WORK, MOST_PARTS = 4e7, 32
"""A batch is run in calls of about so many steps × cells × parameters, and in about so many at
most, so that progress moves, an interrupt is heard, and finished cells are found."""
LAST = {"lost": (np.inf, np.inf, np.inf, np.inf, np.nan), "zero": (0.0, 0.0, 0.0, -np.inf, 0.0)}
"""Envelope of a window of losses that are not finite, and of losses that are zero, at rest."""


def run_cells(
    run: "Run",
    cells: Cells,
    progress: Callable[[float], object] = lambda cell_steps: None,
    folder: Path | None = None,
) -> Envelope:
    """Run a batch of an optimizer's cells; NumPy arrays `[cells, window]`.

    `folder` is where a checkpoint is kept and looked for.
    """
    values, count = run.grid.cells(cells), len(cells)
    whole = Envelope(*(np.empty((count, run.windows), run.dtype) for _ in Envelope._fields))
    place, done = spread(np.arange(count), run), np.array(0)
    program, *_ = run.programs(cells)
    fixed, hyper, state = start_cells(run, program, values, np.maximum(place, 0))
    checkpoint = Checkpoint(folder, cells)
    kept = checkpoint.load((done, whole, place, hyper, state))
    if kept is not None:
        done, whole, place, hyper, state = kept
        hyper, state = on_devices(run, (hyper, state))
    problem = run.mesh, program, run.problem.objective
    for first, last, lengths in _parts(run):
        if first >= done:
            groups = groups_for(np.count_nonzero(place >= 0), run)
            if groups:
                state, envelope = kernel.advance(
                    *problem, fixed, hyper, state, lengths, run.lanes, np.asarray(groups, np.int32)
                )
                _write(whole, envelope, place, first, last)
                if last < run.windows:
                    place, hyper, state = _retire(run, program, whole, place, hyper, state, last)
            checkpoint.save((np.array(last), whole, place, hyper, state))
        progress(float(count * lengths.sum()))
    return whole


def _parts(run: "Run") -> Iterator[tuple[int, int, Int[np.ndarray, " windows"]]]:
    """First window, end and window lengths of each call: empty windows make all of one shape.

    Many cells that end do so early; hence the first call ends after an eighth of the windows.
    """
    work = run.batch * run.extent * run.size
    parts = min(max(math.ceil(work / PART_WORK), 1), MOST_PARTS, run.windows)
    per_part = math.ceil(run.windows / parts)
    early = per_part if parts == 1 else min(per_part, math.ceil(run.windows / 8))
    lengths = np.diff(run.edges).astype(np.int32)
    for first, last in itertools.pairwise((0, *range(early, run.windows, per_part), run.windows)):
        yield first, last, np.pad(lengths[first:last], (0, per_part - (last - first)))


def _write(
    whole: Envelope, part: Envelope, place: Int[np.ndarray, " batch"], first: int, last: int
) -> None:
    """Put windows `first` to `last` where they belong; what is after them in `part` is empty."""
    for field, values in zip(*map(jax.tree.leaves, (whole, part)), strict=True):
        for shard in values.addressable_shards:
            cells = place[shard.index[0]]
            cells = cells[cells >= 0]  # ascending, and first in the shard
            used = len(cells)
            if used and cells[-1] - cells[0] == used - 1:
                cells = slice(cells[0], cells[-1] + 1)
            field[cells, first:last] = np.asarray(shard.data)[:used, : last - first]


def _retire(
    run: "Run",
    program: Any,
    whole: Envelope,
    place: Int[np.ndarray, " batch"],
    hyper: PyTree,
    state: PyTree,
    windows: int,
) -> tuple[Int[np.ndarray, " batch"], PyTree, PyTree]:
    """Take away cells that have ended after so many windows, if that saves a group.

    Such a cell's last window holds no finite loss, or zeros alone, and `kernel.ended` agrees.
    """
    live = place >= 0
    low, high = whole.loss_min[place, windows - 1], whole.loss_max[place, windows - 1]
    candidates = live & ((low == np.inf) | (high == 0))
    groups = groups_for(live.sum(), run)
    if groups_for(live.sum() - candidates.sum(), run) == groups:
        return place, hyper, state
    candidates &= np.asarray(kernel.ended(run.mesh, program, run.problem.objective, state))
    if groups_for(live.sum() - candidates.sum(), run) == groups:
        return place, hyper, state
    for kind, ended in (("lost", candidates & (high != 0)), ("zero", candidates & (high == 0))):
        for field, value in zip(jax.tree.leaves(whole), LAST[kind], strict=True):
            field[place[ended], windows:] = value
    order, (hyper, state) = gather(run, np.flatnonzero(live & ~candidates), (hyper, state))
    return np.where(candidates, -1, place)[order], hyper, state
