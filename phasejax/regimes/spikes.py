"""Spikes: sudden excursions over the level on both sides, much larger than the scatter there."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from .features import LIMIT, Curves, least_peak, usual_level
from .median import median
from .rule import EXCURSION
from .windows import (
    NORMAL,
    Windows,
    highest,
    neighbourhood,
    off_centre,
    parts,
    rolling_median,
    rolling_quantiles,
    rolling_scatter,
    running,
)

HEIGHT = 0.1
"""Least height of a spike over the level around it, in decades: a factor of 1.26."""
OVER_FLOOR = 0.3
"""The same over an estimated floor: near the floor, 3 % of the fall of the run."""
NOISES = 6.0
"""Least height of a spike, in standard deviations of the noise: differences of neighbours."""
SCATTERS = 3.5
"""Least height of a spike, in standard deviations of the scatter below the level."""
BANDS = 2.0
"""Least height of a spike, in the usual height of a window's maximum over its level."""
RARE = 0.4
"""Spikes are raised in at most this share of the windows, of the run and around each spike."""
APART = 16
"""Raised windows are one spike if less than a neighbourhood over this is between them."""
TAILED = 4.0
"""Excursions of half the height are at most this many for each spike: noise with a heavy tail has
more,"""
CHANCE = 0.005
"""and these besides, per window: normal noise has fewer."""
CLEAR = 2.0
"""Such noise raises the height that a spike needs by this factor."""
SLOPE = 0.25
"""A level this near the mean of those before and after it, over their difference, is on a slope."""
LEAST = 0.25
"""Least scatter around a window, over its median over the run."""
LASTS = 0.5
"""A spike lasts while the loss is over this share of the height that a spike needs."""
TINY = 1e-9
"""Lower heights are rounding."""
SMALLEST = 1e-300
"""Lower losses, over the highest loss of the run, are raised to this."""
SEVERAL = 3
"""Number of spikes that make the regime, and that have a period."""

Cells = Float[np.ndarray, "*cells"]


class Excursions(NamedTuple):
    """Excursions of curves, `[..., window]`, in decades.

    - `height`: of the window's maximum over the level around it.
    - `needed`: height from which on it is a spike.
    - `returned`: whether the run went on long enough to know the level after the window.
    """

    height: Windows
    needed: Windows
    returned: Bool[np.ndarray, " window"]


class Spikes(NamedTuple):
    """Spikes of many curves, `[spike]`, in order of the cells and then of the windows."""

    cell: Int[np.ndarray, " spike"]
    first: Int[np.ndarray, " spike"]
    highest: Int[np.ndarray, " spike"]
    last: Int[np.ndarray, " spike"]
    returned: Bool[np.ndarray, " spike"]


class SpikeNumbers(NamedTuple):
    """Numbers of the spikes of each cell, `[...]`; see `spike_numbers`."""

    spike_count: Cells
    spike_period: Cells
    spike_height: Cells


def excursions_of(
    curves: Curves, tall: Bool[np.ndarray, "*cells"], estimated: Bool[np.ndarray, "*cells"]
) -> Excursions:
    """Compare the maxima of windows of curves, `[..., window]`, with the levels around them.

    The level before a window is the median of the maxima in a neighbourhood, a sixteenth of the
    run, that ends a quarter of its length before the window; the level after it likewise. The
    level around it is the highest of the two and of what the share `RARE` of the maxima around the
    window exceeds, or on a steady slope the median around the window. A descent, a slow wave, or a
    step from one level to another has therefore no excursion: if the troughs of a wave are the
    levels before and after its crest, the crest itself fills the neighbourhood between them. The
    scatter is that in either neighbourhood, but at least a quarter of its median over the run.

    Levels and scatter are those of the logarithm; where the floor was `estimated`, they are those
    of the loss. In a cell whose late maximum is `tall` by itself, a maximum of `EXCURSION` decades
    over the usual late level is a spike, too, from where the run first reached that level: where
    most windows have a spike, no level is low.
    """
    level, peak = (_over_zero(x, curves.peak) for x in (curves.level, curves.peak))
    windows = peak.shape[-1]
    around, scatter, returned = _surroundings(level, peak)
    height, needed = peak - around, np.maximum(HEIGHT, scatter)
    clear = CLEAR * needed
    if estimated.any():
        top = peak[estimated].max(-1, keepdims=True)
        level_there, peak_there = (
            np.maximum(10.0 ** (x[estimated] - top), SMALLEST) for x in (level, peak)
        )
        around, scatter, _ = _surroundings(level_there, peak_there)
        height[estimated] = np.log10(peak_there / around)
        needed[estimated] = np.maximum(OVER_FLOOR, np.log10(1 + scatter / around))
        clear[estimated] = np.maximum(CLEAR * OVER_FLOOR, np.log10(1 + CLEAR * scatter / around))
    raised = height >= LASTS * needed
    tailed = _begins(raised) > TAILED * _begins(height >= needed) + CHANCE * windows
    rare = raised.mean(-1) <= RARE
    needed = np.where(tailed[..., None], clear, needed)
    needed = np.where(rare[..., None], needed, LIMIT)
    return _with_dense(Excursions(height, needed, returned), level, peak, tall)


def _begins(raised: Bool[np.ndarray, "*cells window"]) -> Int[np.ndarray, "*cells"]:
    """Number of runs of raised windows."""
    return (raised[..., 1:] & ~raised[..., :-1]).sum(-1) + raised[..., 0]


def _surroundings(
    level: Windows, peak: Windows
) -> tuple[Windows, Windows, Bool[np.ndarray, " window"]]:
    """The higher level around each window, the height that a spike needs, and what is returned."""
    windows, size = peak.shape[-1], neighbourhood(peak.shape[-1])
    distance = size // 2 + size // 4 + 1
    usual, exceeded = rolling_quantiles(peak, 0.5, 1 - RARE)
    within = BANDS * rolling_median(peak - level)
    noise = rolling_median(np.abs(peak - peak[..., np.maximum(np.arange(windows) - 1, 0)]))
    scatter = np.maximum(NOISES * NORMAL / np.sqrt(2) * noise, within)
    scatter = np.maximum(scatter, SCATTERS * rolling_scatter(peak - usual))
    before = np.clip(np.arange(windows) - distance, 0, None)
    returned = np.arange(windows) + distance < windows
    after = np.where(returned, np.arange(windows) + distance, before)
    scatter = np.maximum(
        np.maximum(scatter[..., before], scatter[..., after]),
        LEAST * median(scatter)[..., None],
    )
    level_before, lower = usual[..., before], usual[..., after]
    # Nothing is known before the start.
    level_before[..., :distance] = np.maximum(usual[..., :1], peak[..., :1])
    higher = np.maximum(level_before, lower)
    known = slice(max(windows - distance, 0))
    higher[..., known] = np.maximum(higher[..., known], exceeded[..., known])
    inside = slice(distance, max(windows - distance, distance))
    first, last = level_before[..., inside], lower[..., inside]
    slope = (first - last) / (2 * distance)
    here = usual[..., inside] - slope * off_centre(windows)[inside]
    steady = np.abs(here - (first + last) / 2) <= SLOPE * np.abs(first - last)
    higher[..., inside] = np.where(steady, here, higher[..., inside])
    return higher, scatter, returned


def _with_dense(
    found: Excursions, level: Windows, peak: Windows, tall: Bool[np.ndarray, "*cells"]
) -> Excursions:
    """Count maxima far over the usual late level, once it was reached, in cells that are `tall`."""
    windows = peak.shape[-1]
    usual = usual_level(level[..., windows // 2 :])[..., None]
    over_usual = peak - usual
    reached = running(np.logical_or, level <= usual)
    dense = tall[..., None] & reached & (over_usual >= EXCURSION) & (found.height < found.needed)
    return Excursions(
        np.where(dense, over_usual, found.height),
        np.where(dense, EXCURSION, found.needed),
        found.returned,
    )


def spikes(found: Excursions) -> Spikes:
    """Find the spikes: runs of windows over `LASTS` of the height needed that reach it.

    Two runs are one if less than a neighbourhood over `APART` is between them.
    """
    windows = found.height.shape[-1]
    height, needed = (x.reshape(-1, windows) for x in found[:2])
    cells = np.flatnonzero((height >= needed).any(-1))
    height, needed = height[cells], needed[cells]
    raised = np.pad(height >= LASTS * needed, [(0, 0), (1, 1)])
    row, first = np.nonzero(raised[:, 1:] & ~raised[:, :-1])
    _, last = np.nonzero(raised[:, :-1] & ~raised[:, 1:])
    last = last - 1
    near = first[1:] - last[:-1] - 1 <= neighbourhood(windows) // APART
    new = np.r_[True, ~((row[1:] == row[:-1]) & near)] if len(row) else np.zeros(0, bool)
    row, first, last = row[new], first[new], last[np.r_[new[1:], True][: len(new)]]
    highest = _highest(height, row, first, last)
    tall = height[row, highest] >= needed[row, highest]
    row, first, highest, last = row[tall], first[tall], highest[tall], last[tall]
    returned = np.pad(found.returned, (0, 1))[last + 1]
    return Spikes(cells[row], first, highest, last, returned)


def _highest(height: Windows, row: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """First window with the largest height between `first` and `last` of each run, `[run]`."""
    length = last - first + 1
    run = np.repeat(np.arange(len(row)), length)
    window = np.arange(len(run)) - np.repeat(np.cumsum(length) - length, length) + first[run]
    order = np.lexsort((window, -height[row[run], window], run))
    return window[order[np.r_[True, run[1:] != run[:-1]]]] if len(run) else first


def several(found: Excursions, there: Spikes) -> Cells:
    """How clear the spikes `there` are, `[...]`: zero or more if there are three.

    It is log10 of the height of the third highest over what it needs. If fewer come back, it is the
    same of the third highest sixteenth of the run, but less than zero.
    """
    shape, windows = found.height.shape[:-1], found.height.shape[-1]
    excess = np.log10(np.maximum(found.height, TINY) / found.needed).reshape(-1, windows)
    of_parts = np.sort(parts(excess, min(16, windows), highest), axis=-1)
    clear = np.minimum(of_parts[:, -min(SEVERAL, windows)], -1e-9)
    cell = there.cell[there.returned]
    heights = excess[cell, there.highest[there.returned]]
    order = np.lexsort((-heights, cell))
    cell, heights = cell[order], heights[order]
    rank = np.arange(len(cell)) - np.searchsorted(cell, cell)
    third = rank == SEVERAL - 1
    clear[cell[third]] = heights[third]
    return np.clip(clear, -LIMIT, LIMIT).reshape(shape)


def spike_numbers(found: Excursions, there: Spikes, step: np.ndarray) -> SpikeNumbers:
    """Count and measure the spikes `there` are in the whole run; windows have the edges `step`.

    - `spike_count`: number of spikes.
    - `spike_period`: steps from the first spike to the last over the number of spikes less one;
      nan for fewer than three spikes, because one distance is no recurrence.
    - `spike_height`: mean of their heights over the level around them; nan without spikes.
    """
    shape, windows = found.height.shape[:-1], found.height.shape[-1]
    cell, _, highest, *_ = there
    size = int(np.prod(shape))
    count = np.bincount(cell, minlength=size)
    heights = found.height.reshape(-1, windows)[cell, highest]
    first, last = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(first, cell, step[highest])
    np.maximum.at(last, cell, step[highest])
    with np.errstate(divide="ignore", invalid="ignore"):
        period = np.where(count >= SEVERAL, (last - first) / (count - 1), np.nan)
        height = np.bincount(cell, heights, size) / np.where(count > 0, count, np.nan)
    return SpikeNumbers(*(x.reshape(shape) for x in (count.astype(float), period, height)))


def _over_zero(level: Windows, peak: Windows) -> Windows:
    """Raise levels of exact zeros to the smallest maximum that is not zero."""
    return np.where(level > -LIMIT, level, least_peak(peak)[..., None])
