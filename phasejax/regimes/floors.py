"""The floor of a loss: what is subtracted from it before decades are counted.

A loss that falls by a decade and a half shows that its minimum is near zero. Otherwise, if the
minimum is not known, it is estimated: it lies below the lowest level that the run kept, by a margin
that noise does not cross. The unit of the loss changes nothing, and a constant added to it only
whether a run that hardly falls is at rest.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..envelope import Envelope, excess
from .features import LIMIT
from .median import median
from .windows import Windows, deviation, parts, rolling_median, running

Cells = Float[np.ndarray, "*cells"]

SPAN = 1.5
"""A loss that fell by this many decades is judged in decades over zero."""
SHARE = 0.03
"""Least distance of the estimated minimum below the lowest level, over the fall of the run."""
NOISES = 3.0
"""Least distance of the estimated minimum below the lowest level, in standard deviations."""
OF_START = 0.05
"""The same over the start, in a run that only rose: no fall shows the scale of the loss."""
REST_OF_FALL = 0.005
"""A loss is at rest if its noise and sway are at most this share of the fall of the run,"""
REST_OF_LEVEL = 0.05
"""or at most this share of its level: a factor of 1.05."""
OUTSIDE = 0.1
"""Share of the highest and of the lowest levels that do not count as sway: a spike and its tail."""
ROUNDING = 1e-9
"""A fall or noise below this share of the level is none."""
DIPS = 0.1
"""A loss below this share of that distance over the estimated minimum is raised to it."""


class Floor(NamedTuple):
    """The floor of each cell, `[...]`, in units of the loss.

    - `minimum`: what is subtracted from the loss.
    - `estimated`: whether it was estimated.
    - `lowest`: a loss that is smaller, over the minimum, is raised to this.
    - `fall`: from the start, or from the highest level, to the lowest level.
    - `noise`: robust standard deviation of the losses around their local level, late in the run.
    - `sway`: half the range of the middle 80 % of the levels in the last quarter.
    - `level`: median of the loss at the end.
    """

    minimum: Cells
    estimated: Bool[np.ndarray, "*cells"]
    lowest: Cells
    fall: Cells
    noise: Cells
    sway: Cells
    level: Cells


def known(minimum: float, shape: tuple[int, ...]) -> Floor:
    """The floor of losses whose minimum is known: regimes are told apart in decades alone."""
    zero, never = np.zeros(shape), np.full(shape, np.inf)
    return Floor(zero + minimum, np.zeros(shape, bool), zero, zero, never, never, zero)


def estimate(envelope: Envelope, initial_loss: Cells, per_window: float) -> Floor:
    """Estimate the floor of envelopes `[..., window]` with `per_window` losses in each window.

    Windows with a non-finite loss are left out.
    """
    low, high, mean = (np.asarray(field, np.float64) for field in envelope[:3])
    finite = np.isfinite(mean)
    level = _filled(mean, finite)
    medians = parts(level, min(16, max(level.shape[-1] // 4, 1)))
    start = np.where(np.isfinite(initial_loss), initial_loss, medians[..., 0])
    with np.errstate(invalid="ignore"):
        spread = np.where(finite, high - low, 0.0)
    half = level.shape[-1] // 2
    residual = (level - rolling_median(level))[..., half:]
    noise = _noise(spread[..., half:], residual, per_window)
    around = np.maximum(noise, _dips(residual))
    # A run may do well for a short time only, early on, before it blows up.
    early = level[..., : max(level.shape[-1] // 16, 1)].min(-1) + NOISES * around
    bottom = np.minimum(np.minimum(medians.min(-1), early), start)
    top = np.maximum(medians.max(-1), start)
    last = level[..., -max(level.shape[-1] // 4, 1) :]
    margin = _margin(bottom, top, start, around)
    with np.errstate(divide="ignore", invalid="ignore"):
        spans = np.log10(top) - np.log10(bottom) >= SPAN
    positive = np.where(finite, low, 0.0).min(-1) >= 0
    estimated = ~positive | ~(spans | (margin == 0) | (bottom == 0))
    return Floor(
        np.where(estimated, bottom - margin, 0.0),
        estimated,
        np.where(estimated, DIPS * margin, 0.0),
        top - bottom,
        noise,
        np.subtract(*np.quantile(last, (1 - OUTSIDE, OUTSIDE), axis=-1)) / 2,
        medians[..., -1],
    )


def stillness(floor: Floor) -> Cells:
    """log10 of the movement that counts as rest over the movement late in the run, `[...]`.

    The fall of the run counts only where the floor was estimated: elsewhere it spans decades.
    −400 where the minimum is known.
    """
    of_fall = np.where(floor.estimated, REST_OF_FALL * floor.fall, 0.0)
    allowed = np.maximum(of_fall, REST_OF_LEVEL * np.abs(floor.level))
    moved = np.maximum(floor.noise, floor.sway)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log10(allowed) - np.log10(moved)
    found = np.where(moved == 0, LIMIT, np.clip(found, -LIMIT, LIMIT))
    return found


def over(envelope: Envelope, floor: Floor, eps: float) -> Envelope:
    """Subtract the floor from an envelope `[..., window]`.

    Where it was estimated, the mean of the logarithm is that of the mean loss.
    """
    ground, lowest = floor.minimum[..., None], floor.lowest[..., None]
    low, high, mean = (np.maximum(excess(x, ground, eps), lowest) for x in envelope[:3])
    level = np.array(envelope.log10_loss_mean, np.float64)
    if floor.estimated.any():
        with np.errstate(divide="ignore", invalid="ignore"):
            level = np.where(floor.estimated[..., None], np.log10(mean), level)
    return envelope._replace(loss_min=low, loss_max=high, loss_mean=mean, log10_loss_mean=level)


def _margin(bottom: Cells, top: Cells, start: Cells, around: Cells) -> Cells:
    """Distance of the estimated minimum below the lowest level, `bottom`; 0 for a constant loss."""
    margin = np.maximum(SHARE * (top - bottom), NOISES * around)
    margin = np.where(margin > ROUNDING * np.abs(bottom), margin, 0.0)
    rose = (margin > 0) & (start - bottom <= SHARE * (top - bottom))
    return np.where(rose, np.maximum(margin, OF_START * np.abs(bottom)), margin)


def _filled(mean: Windows, finite: Bool[np.ndarray, "*cells window"]) -> Windows:
    """Replace non-finite windows by the last finite one before them, or by the first one."""
    if finite.all():
        return mean
    first = finite.argmax(-1)[..., None]
    last = running(np.maximum, np.where(finite, np.arange(mean.shape[-1]), first))
    found = np.take_along_axis(mean, last, axis=-1)
    return np.where(np.isfinite(found), found, 0.0)


def _noise(spread: Windows, residual: Windows, per_window: float) -> Cells:
    """Standard deviation of the losses in the late half, from the ranges and means of windows.

    `residual` are the levels less their rolling median. The range of n normal values is about
    2 √(2 log n) standard deviations. Where a window has few losses, the differences between windows
    show the noise.
    """
    per_window = np.clip(per_window, 3, 1000)
    within = median(spread) / (2 * np.sqrt(2 * np.log(per_window)))
    return np.maximum(within, deviation(residual))


def _dips(residual: Windows) -> Cells:
    """Standard deviation of the late levels, from those below their rolling median.

    Rare dips count, which `_noise` leaves out.
    """
    with np.errstate(over="ignore"):  # of losses that diverge
        return np.sqrt(2 * np.mean(np.minimum(residual, 0.0) ** 2, axis=-1))
