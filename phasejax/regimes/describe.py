"""Onset of the late behaviour, and its oscillations. No label depends on them."""

from typing import NamedTuple

import numpy as np

from .features import Cells, Curves, Levels
from .median import median
from .windows import slope

CLEAR = 0.3
"""Share of the late level's variance that one frequency must have to be called a period."""

ROUNDING = 1e-9
"""Differences of level below this many decades are ignored."""


class Description(NamedTuple):
    """Numbers that describe the late half of a curve; see `describe` for formulas and units."""

    onset: Cells
    amplitude: Cells
    period: Cells


UNITS = {
    "onset": ("step from which the run is like its late half", "steps"),
    "amplitude": ("median over late windows of log10 of the maximum over the level", "decades"),
    "period": ("dominant period of the late level", "steps"),
    "spike_count": ("number of spikes", "1"),
    "spike_period": ("mean distance of at least three spikes", "steps"),
    "estimated_minimum": ("estimate of the smallest loss, which was subtracted", "loss"),
    "spike_height": ("mean height of spikes over the level around them", "decades"),
}
"""Long names and units of the numbers of `describe` and `spike_numbers`."""


def describe(curves: Curves, step: np.ndarray) -> Description:
    """Describe curves `[..., window]` whose windows have the edges `step`, `[window + 1]`.

    L_w, P_w and the late windows are those of `features`.

    - `onset`: first step after the last early window whose L_w is outside [min L, max P] of the
      late half; 0 if there is none.
    - `amplitude`: median over late windows of P_w − L_w; 0.6 for a squared sinusoid whose period
      is shorter than a window.
    - `period`: period of the strongest frequency of the late L_w after subtraction of their
      regression line, if it has at least 0.3 of their variance and two periods fit into the late
      half; nan otherwise. Periods shorter than two windows cannot be resolved.
    """
    level, peak = curves.level, curves.peak
    half = level.shape[-1] // 2
    late, late_peaks = level[..., half:], peak[..., half:]
    low, high = late.min(-1, keepdims=True), late_peaks.max(-1, keepdims=True)
    outside = (level < low - ROUNDING) | (level > high + ROUNDING)
    last_outside = half - np.argmax(outside[..., half - 1 :: -1], axis=-1)
    return Description(
        step[np.where(outside.any(-1), last_outside, 0)].astype(float),
        median(late_peaks - late),
        _period(late, float(step[-1] - step[half])),
    )


def _period(late: Levels, steps: float) -> Cells:
    """Dominant period in steps, or nan; `steps` is the length of the late half."""
    windows = late.shape[-1]
    time = np.linspace(-1, 1, windows)
    mean = late.mean(-1, keepdims=True)
    power = np.abs(np.fft.rfft(late - mean - slope(late)[..., None] * time)) ** 2
    strongest = power.argmax(-1)
    share = power.max(-1) / np.maximum(power.sum(-1), np.finfo(float).tiny)
    return np.where((share >= CLEAR) & (strongest >= 2), steps / np.maximum(strongest, 1), np.nan)
