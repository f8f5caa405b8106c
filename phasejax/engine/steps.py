"""The host loop of dynamics in equal steps: one task's cells, run to the end segment by segment.

A device advances its blocks one after the other. A cell whose loss can no longer change frees its
slot, and devices run fewer blocks; the shapes of arrays stay the same, so nothing
compiles again.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Int

from ..envelope import Envelope, Windows
from ..grid import Cells, rows
from .checkpoint import Checkpoint
from .placement import Placement, Slots
from .running import Running
from .spec import Spec

SEGMENT_WORK = 1e8
"""Target steps × cells × parameters of a segment: short enough for a progress bar, for interrupts
and to find cells that have ended."""
MOST_SEGMENTS = 32
"""Most segments of a task, up to rounding."""
LOST = Envelope(np.inf, np.inf, np.inf, np.inf, np.nan)  # pyright: ignore[reportArgumentType]
"""Envelope of a window whose losses are not finite."""
ZERO = Envelope(0.0, 0.0, 0.0, -np.inf, 0.0)  # pyright: ignore[reportArgumentType]
"""Envelope of a window whose losses are zero, with the parameters at rest."""


def run_steps(
    spec: Spec,
    placement: Placement,
    cells: Cells,
    progress: Callable[[float], object] = lambda cell_steps: None,
    folder: Path | None = None,
) -> Windows:
    """Run the cells of a task; NumPy arrays `[cells, window]`.

    `progress` receives the steps of each segment, summed over cells. `folder` holds the checkpoint.
    """
    count = len(cells)
    whole = _empty(spec, count)
    running, checkpoint = Running(spec, placement, cells), Checkpoint(folder, cells)
    done, whole = running.restore(checkpoint, (np.array(0), whole)) or (0, whole)
    for first, last, lengths in _segments(spec, placement):
        if first >= done:
            blocks = placement.blocks_for(np.count_nonzero(running.cell_of >= 0))
            if blocks:
                _write(whole, running.advance(lengths, blocks), running.cell_of, first, last)
                if last < spec.windows:
                    _retire(running, whole.envelope, last)
            running.save(checkpoint, (np.array(last), whole))
        progress(float(count * lengths.sum()))
    return whole


def _empty(spec: Spec, count: int) -> Windows:
    """Return room for the results of a task; nan where nothing is measured."""
    shape = (count, spec.windows)
    # One array, because the system gives large ones in large pages, faster.
    envelope = Envelope(*np.empty((len(Envelope._fields), *shape), spec.dtype))
    names = spec.dynamics.measured_variables
    return Windows(envelope, {name: np.full(shape, np.nan, spec.dtype) for name in names})


def segment_windows(spec: Spec, slots: int) -> int:
    """Return the most windows of a segment: so many window lengths the program takes at once."""
    work = slots * spec.horizon * spec.size
    count = min(max(math.ceil(work / SEGMENT_WORK), 1), MOST_SEGMENTS, spec.windows)
    return math.ceil(spec.windows / count)


def _segments(
    spec: Spec, placement: Placement
) -> Iterator[tuple[int, int, Int[np.ndarray, " windows"]]]:
    """Yield first window, end and window lengths of each segment, padded to one shape by 0.

    Most cells that end do so early, so the first segment ends after an eighth of the windows.
    """
    windows = segment_windows(spec, placement.slots)
    early = windows if windows == spec.windows else min(windows, math.ceil(spec.windows / 8))
    lengths = np.diff(spec.edges).astype(np.int32)
    borders = (0, *range(early, spec.windows, windows), spec.windows)
    for first, last in itertools.pairwise(borders):
        yield first, last, np.pad(lengths[first:last], (0, windows - (last - first)))


def _write(whole: Windows, part: Windows, cell_of: Slots, first: int, last: int) -> None:
    """Copy windows `first` to `last` of a segment; the windows after them in `part` are empty."""
    for field, values in zip(*map(jax.tree.leaves, (whole, part)), strict=True):
        for shard in values.addressable_shards:
            cells = cell_of[shard.index[0]]
            cells = cells[cells >= 0]  # ascending, and first in the shard
            field[rows(cells), first:last] = np.asarray(shard.data)[: len(cells), : last - first]


def _retire(running: Running, whole: Envelope, windows: int) -> None:
    """Free the slots of cells that have ended within the first `windows`, if that saves a block.

    The last window of such a cell has no finite loss, or only zeros, and `Program.ended` agrees.
    """
    blocks_for = running.placement.blocks_for
    occupied = np.flatnonzero(running.cell_of >= 0)
    cells = running.cell_of[occupied]
    zero = whole.loss_max[cells, windows - 1] == 0
    candidates = zero | (whole.loss_min[cells, windows - 1] == np.inf)
    blocks = blocks_for(len(cells))
    if blocks_for(np.count_nonzero(~candidates)) == blocks:
        return
    ended = candidates & running.ended()[occupied]
    if blocks_for(np.count_nonzero(~ended)) == blocks:
        return
    for kind, rest in ((LOST, cells[ended & ~zero]), (ZERO, cells[ended & zero])):
        for field, value in zip(jax.tree.leaves(whole), kind, strict=True):
            field[rest, windows:] = value
    running.cell_of[occupied[ended]] = -1
    running.compact(occupied[~ended])
