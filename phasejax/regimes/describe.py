"""Onset of the late behaviour, and its spikes and oscillations. No label depends on them."""

from typing import NamedTuple

import numpy as np

from ..envelope import edges
from .features import Cells, Curves, Levels, usual_level
from .rule import EXCURSION

CLEAR = 0.3
"""Share of the late level's variance that one frequency must have to be called a period."""

ROUNDING = 1e-9
"""Differences of level below this many decades are ignored."""


class Description(NamedTuple):
    """Numbers that describe the late half of a curve; see `describe` for formulas and units."""

    onset: Cells
    spike_count: Cells
    spike_period: Cells
    spike_height: Cells
    amplitude: Cells
    period: Cells


UNITS = {
    "onset": ("step from which the run is like its late half", "steps"),
    "spike_count": ("number of late spikes", "1"),
    "spike_period": ("mean distance of late spikes", "steps"),
    "spike_height": ("mean height of late spikes over the usual level", "decades"),
    "amplitude": ("median over late windows of log10 of the maximum over the level", "decades"),
    "period": ("dominant period of the late level", "steps"),
}


def describe(curves: Curves, extent: float) -> Description:
    """Describe curves `[..., window]` of runs of `extent` steps (an integer) or time (a float).

    L_w, P_w and the late windows are those of `features`; u is the larger of the mean and the
    median of the late L_w.

    - `onset`: first step after the last early window whose L_w is outside [min L, max P] of the
      late half; 0 if there is none.
    - `spike_count`: number of spikes, each a run of successive late windows with P_w ≥ u + 2
      decades. Spikes in the same window or in adjacent windows count once.
    - `spike_period`: steps from the first spike to the last over the number of spikes less one;
      nan for fewer than two spikes.
    - `spike_height`: mean over spikes of max P_w − u; nan without spikes.
    - `amplitude`: median over late windows of P_w − L_w; 0.6 for a squared sinusoid whose period
      is shorter than a window.
    - `period`: period of the strongest frequency of the late L_w after subtraction of their
      regression line, if it has at least 0.3 of their variance and two periods fit into the late
      half; nan otherwise. Periods shorter than two windows cannot be resolved.
    """
    level, peak, *_ = curves
    half = level.shape[-1] // 2
    step = edges(extent, level.shape[-1])
    late, late_peaks = level[..., half:], peak[..., half:]
    low, high = late.min(-1, keepdims=True), late_peaks.max(-1, keepdims=True)
    outside = (level < low - ROUNDING) | (level > high + ROUNDING)
    last_outside = half - np.argmax(outside[..., half - 1 :: -1], axis=-1)
    return Description(
        step[np.where(outside.any(-1), last_outside, 0)].astype(float),
        *_spikes(late, late_peaks, step[half:-1]),
        np.median(late_peaks - late, axis=-1),
        _period(late, float(extent - step[half])),
    )


def _spikes(late: Levels, peaks: Levels, step: np.ndarray) -> tuple[Cells, Cells, Cells]:
    """Count, period and height of the spikes of each cell."""
    excess = peaks - usual_level(late)[..., None]
    high = excess >= EXCURSION
    starts = high & ~np.pad(high, [(0, 0)] * (high.ndim - 1) + [(1, 0)])[..., :-1]
    count = starts.sum(-1)
    first = step[starts.argmax(-1)]
    last = step[::-1][starts[..., ::-1].argmax(-1)]
    period = np.where(count > 1, (last - first) / np.maximum(count - 1, 1), np.nan)
    where = np.flatnonzero(starts)
    # `reduceat` also covers the windows between two spikes, or up to the next cell's first spike;
    # they are −inf, so that they do not change the maximum.
    heights = (
        np.maximum.reduceat(np.where(high, excess, -np.inf).ravel(), where) if where.size else []
    )
    total = np.bincount(where // high.shape[-1], heights, count.size).reshape(count.shape)
    height = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return count.astype(float), period, height


def _period(late: Levels, steps: float) -> Cells:
    """Dominant period in steps, or nan; `steps` is the length of the late half."""
    windows = late.shape[-1]
    time = np.linspace(-1, 1, windows)
    mean = late.mean(-1, keepdims=True)
    slope = (late @ time / (time @ time))[..., None]
    power = np.abs(np.fft.rfft(late - mean - slope * time)) ** 2
    strongest = power.argmax(-1)
    share = power.max(-1) / np.maximum(power.sum(-1), np.finfo(float).tiny)
    return np.where((share >= CLEAR) & (strongest >= 2), steps / np.maximum(strongest, 1), np.nan)
