"""Features of the late part of a loss curve, computed from its envelope.

The late part is the second half of the windows. A level is a mean of log10 of the loss; one decade
is a factor of ten. Every feature is an array of the cells' shape.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..envelope import Envelope
from .median import median
from .windows import deviation, highest, parts, rolling_median, running, slope

Cells = Float[np.ndarray, "*cells"]
Levels = Float[np.ndarray, "*cells window"]

LIMIT = 400.0
"""Decades that represent infinity: a loss of zero has level −400, a non-finite loss +400."""
PARTS = 16
"""The level of a run is taken in this many parts, if it has four windows for each."""
LEFT = 0.95
"""Least depth of the level before a blow-up, under that at the end, over an estimated minimum."""


class Curves(NamedTuple):
    """An envelope in decades, clipped to ±400: `[..., window]`, and the last finite level `[...]`.

    `step` is log10 of the relative steps, −400 where nothing moves or the steps are unknown.
    """

    level: Levels
    mean: Levels
    peak: Levels
    bottom: Levels
    last_finite: Cells
    step: Levels


class Features(NamedTuple):
    """Inputs of the rule, all in decades; see `features` for the formulas."""

    late_level: Cells
    late_peak: Cells
    late_trend: Cells
    fall: Cells
    intermittency: Cells
    rarity: Cells
    recovery: Cells
    rise: Cells
    swing: Cells
    wander: Cells
    overshoot: Cells
    climb: Cells
    end_level: Cells
    end_excess: Cells
    last_finite_excess: Cells
    span: Cells
    floor: Cells
    end_over_errors: Cells
    end_step: Cells
    drift: Cells
    scatter: Cells
    steadiness: Cells
    tail: Cells
    stillness: Cells
    spiking: Cells


DESCRIPTIONS = {
    "late_level": "late mean of log10 loss",
    "late_peak": "log10 of the late maximum",
    "late_trend": "change of the level over the late part",
    "fall": "four times the least fall from one quarter of the late part to the next",
    "intermittency": "log10 of the late maximum over the late level",
    "rarity": "log10 of the late maximum over the late mean",
    "recovery": "fall of the level after the late maximum",
    "rise": "level at the end over the best level reached",
    "swing": "largest earlier rise of the level that came back",
    "wander": "scatter of the level from one sixteenth of the run to the next",
    "overshoot": "rise of the level over log10 of the initial loss and of the last maximum",
    "climb": "least rise from one quarter of the late part to the next",
    "end_level": "level at the end",
    "end_excess": "level at the end over log10 of the initial loss",
    "last_finite_excess": "last finite level over log10 of the initial loss",
    "span": "log10 of the late maximum over the late minimum",
    "floor": "log10 of the late maximum over the rounding floor",
    "end_over_errors": "level at the end over the errors of what made the loss",
    "end_step": "log10 of the largest step at the end over the rounding of the parameters",
    "drift": "log10 of the largest step at the end times the late steps, over the parameters",
    "scatter": "late scatter of the loss around its level",
    "steadiness": "log10 of the late fall over the error of its regression line",
    "tail": "log10 of the late fall over the fall before it",
    "stillness": "log10 of the movement that counts as rest over the late movement",
    "spiking": "log10 of the height of the third highest spike over what a spike needs",
}


def features(
    curves: Curves,
    initial_loss: Cells,
    eps: float,
    lost: Cells | float = 0.0,
    horizon: float = 0.0,
    estimated: Bool[np.ndarray, "*cells"] | bool = False,
) -> Features:
    """Compute the features of curves `[..., window]` that started at `initial_loss` `[...]`.

    `eps` is the machine epsilon of the loss. `lost` is the loss below which only errors are seen:
    the rounding of the subtracted minimum, or the tolerance of a solver. `estimated` says whether
    the minimum is an estimate.

    All losses are losses over the minimum; a loss below the minimum gives nan. L_w is the mean of
    log10 of the loss in window w, P_w the log10 of its maximum, f0 the initial loss. Only the late
    windows are used, except where the whole run is named.

    - `late_level`: mean of L_w.
    - `late_peak`: max of P_w.
    - `late_trend`: 3/2 (median of L_w in the last third − in the first third): the change over
      the late part, robust to spikes, negative if the level falls.
    - `fall`: 4 × the least fall of the median of L_w from one quarter to the next: the fall over
      the late part at its slowest rate, positive if the level falls to the end. A loss ∝ 1/t has
      0.25.
    - `intermittency`: height of the largest excursion, the smaller of two heights:
      max P_w − max(`late_level`, median L_w), and the largest P_w − min M_v. M_v is the median of
      L_w in sixteenth v of the whole run, and the minimum is over sixteenths from the eighth one
      to the one before that of w. Dips, a steep descent and ringing through zero therefore do not
      count as excursions.
    - `rarity`: max P_w − log10 of the mean of the late losses: 0.3 for a two-cycle.
    - `recovery`: max P_w − `end_level`; +400 if the maximum is in the last eighth, where it is
      not known yet whether the level recovers.
    - `rise`: `end_level` − the least M_v of the whole run.
    - `swing`: largest rise of M_v over an earlier M that a later M undid, the last one aside.
    - `wander`: standard deviation of M_v around a straight line through three neighbours, from the
      median of their second differences; 0 for a smooth curve.
    - `overshoot`: the larger of max L_w over the run and max P_w over its first sixteenth − the
      larger of log10 f0 and max P_w over the last quarter of the run. A single loss later on is an
      excursion. Over an estimated minimum, where a short rise spans decades, it is max M_v, unless
      the run was lower before the highest L_w than at its end.
    - `climb`: the least difference of the medians of L_w in successive quarters.
    - `end_level`: median of L_w in the last eighth.
    - `end_excess`: `end_level` − log10 f0.
    - `last_finite_excess`: L_w of the last window of the whole run in which all losses are finite
      − log10 f0.
    - `span`: log10 of the largest over the smallest loss.
    - `floor`: max P_w − log10 of the larger of `lost` and f0 eps², the size of one squared rounding
      error.
    - `end_over_errors`: `end_level` − log10 `lost`; +400 where `lost` is zero.
    - `end_step`: log10 of the largest relative step in the last eighth − log10 eps; −400 where
      nothing moves, or where only the loss is known.
    - `drift`: log10 of the largest relative step in the last eighth times half the `horizon`: how
      far the parameters could move in the late part; −400 as above.
    - `scatter`: the larger of the median of P_w − L_w and the median of |L_w − rolling median|.
    - `steadiness`: log10 of −t/4, where t is the t-statistic of the slope of the regression line
      through the medians of L_w in eight parts; −400 if the level rises.
    - `tail`: log10 of the fall of the loss (not of its logarithm) between the first and the last
      quarter of the late part, over the fall between the third eighth of the run and the first
      late quarter. A power of time, whatever its exponent and its floor, has more than −0.4, a
      decay with time constant τ has −0.22 n/τ after n steps. −400 if the loss did not fall before,
      or if the last quarter does not have at least a tenth of the late fall.
    """
    level, mean, peak, bottom, last_finite, step = curves
    with np.errstate(divide="ignore"):
        start = np.maximum(np.log10(np.asarray(initial_loss, np.float64)), -LIMIT)
        lost = np.log10(lost)
    start = np.where(start > -LIMIT, start, least_peak(peak))
    half = level.shape[-1] // 2
    late, late_peaks = level[..., half:], peak[..., half:]
    late_level, late_peak = late.mean(-1), late_peaks.max(-1)
    end = max(late.shape[-1] // 8, 1)
    end_level = median(late[..., -end:])
    peak_is_recent = late_peaks[..., -end:].max(-1) >= late_peak
    quarters, thirds = parts(late, 4), parts(late, 3)
    sixteenths = parts(level, 2 * (min(max(level.shape[-1] // 4, 2), PARTS) // 2))
    return Features(
        late_level=late_level,
        late_peak=late_peak,
        late_trend=1.5 * (thirds[..., -1] - thirds[..., 0]),
        fall=-4 * np.diff(quarters, axis=-1).max(-1),
        intermittency=np.minimum(late_peak - usual_level(late), _excursion(sixteenths, peak)),
        rarity=-_log_mean(mean[..., half:] - late_peak[..., None]),
        recovery=np.where(peak_is_recent, LIMIT, late_peak - end_level),
        rise=end_level - sixteenths.min(-1),
        swing=_swing(sixteenths),
        wander=_wander(sixteenths),
        overshoot=_overshoot(curves, sixteenths, start, estimated),
        climb=np.diff(quarters, axis=-1).min(-1),
        end_level=end_level,
        end_excess=end_level - start,
        last_finite_excess=last_finite - start,
        span=late_peak - bottom[..., half:].min(-1),
        floor=late_peak - np.maximum(start + 2 * np.log10(eps), lost),
        end_over_errors=np.where(lost > -LIMIT, end_level - lost, LIMIT),
        end_step=_plus(step[..., -end:].max(-1), -np.log10(eps)),
        drift=_plus(step[..., -end:].max(-1), np.log10(max(horizon, 1) / 2)),
        scatter=_scatter(late, late_peaks),
        steadiness=_steadiness(parts(late, min(8, late.shape[-1]))),
        tail=_tail(parts(level, min(8, level.shape[-1]))),
        stillness=np.full(end_level.shape, -LIMIT),
        spiking=np.full(end_level.shape, -LIMIT),
    )


def in_decades(envelope: Envelope, floor: Cells | float = 0.0) -> Curves:
    """Take logarithms of an envelope `[..., window]`; losses below `floor` are raised to it.

    A window that touches zero without staying there has the log10 of its mean loss as its level:
    the exact zeros of an oscillation through zero must not lower the level. Windows of zeros in a
    run that does not end there have the level of the smallest maximum.
    """
    minimum, maximum, mean, level = (np.array(field, np.float64) for field in envelope[:4])
    finite = level < np.inf
    last = level.shape[-1] - 1 - np.argmax(finite[..., ::-1], axis=-1)
    found = np.take_along_axis(level, last[..., None], axis=-1)[..., 0]
    last_finite = np.where(finite.any(-1), np.maximum(found, -LIMIT), LIMIT)
    touching = (level == -np.inf) & (maximum > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        level[touching] = np.log10(mean[touching])
        for field in (minimum, maximum, mean):
            np.log10(field, out=field)
        lowest = np.maximum(np.log10(floor), -LIMIT)[..., None]
    for field in (level, maximum, minimum, mean):
        np.clip(field, lowest, LIMIT, out=field)
    zeros_between = (level <= -LIMIT) & (maximum[..., -1:] > -LIMIT)
    if zeros_between.any():
        level = np.where(zeros_between, least_peak(maximum)[..., None], level)
    return Curves(level, mean, maximum, minimum, last_finite, _steps(envelope, level.shape))


def _steps(envelope: Envelope, shape: tuple[int, ...]) -> Levels:
    """log10 of the relative steps, clipped to ±400; an unknown step counts as no step."""
    if envelope.relative_step is None:
        return np.full(shape, -LIMIT)
    with np.errstate(divide="ignore"):
        step = np.log10(np.asarray(envelope.relative_step, np.float64))
    return np.clip(np.where(np.isnan(step), -LIMIT, step), -LIMIT, LIMIT)


def _plus(step: Cells, decades: float) -> Cells:
    """Add to steps that are known and not zero."""
    return np.where(step > -LIMIT, step + decades, -LIMIT)


def least_peak(peak: Levels) -> Cells:
    """The smallest maximum of a window that is not zero, or −400."""
    least = np.where(peak > -LIMIT, peak, LIMIT).min(-1)
    return np.where(least < LIMIT, least, -LIMIT)


def _log_mean(decades: Levels) -> Cells:
    """log10 of the mean of 10^x."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.log10((10.0**decades).mean(-1))


def _scatter(late: Levels, peaks: Levels) -> Cells:
    within = median(peaks - late)
    return np.maximum(within, median(np.abs(late - rolling_median(late))))


def _wander(medians: Float[np.ndarray, "*cells parts"]) -> Cells:
    """Scatter from second differences; fewer than sixteen parts show less of it."""
    if medians.shape[-1] < 3:
        return np.zeros(medians.shape[:-1])
    scatter = deviation(np.diff(medians, 2, axis=-1)) / np.sqrt(6)
    return scatter * PARTS / medians.shape[-1]


def _overshoot(
    curves: Curves,
    medians: Float[np.ndarray, "*cells parts"],
    start: Cells,
    estimated: Bool[np.ndarray, "*cells"] | bool,
) -> Cells:
    """How far the run rose over its start and its end; a single loss counts only at first."""
    windows = curves.level.shape[-1]
    first = curves.peak[..., : max(windows // 16, 1)].max(-1)
    end = curves.peak[..., -max(windows // 4, 1) :].max(-1)
    highest = np.maximum(first, curves.level.max(-1))
    if np.any(estimated):
        place = curves.level.argmax(-1)[..., None]
        before = np.where(np.arange(windows) < place, curves.level, LIMIT).min(-1)
        left = median(curves.level[..., -max(windows // 16, 1) :]) - before >= LEFT
        highest = np.where(np.asarray(estimated) & ~left, medians.max(-1), highest)
    return highest - np.maximum(start, end)


def _swing(medians: Float[np.ndarray, "*cells parts"]) -> Cells:
    """Largest rise over the least median before that the least median after undoes."""
    before = running(np.minimum, medians)
    after = running(np.minimum, medians[..., ::-1])[..., ::-1]
    return (medians - np.maximum(before, after)).max(-1)


def _steadiness(medians: Float[np.ndarray, "*cells parts"]) -> Cells:
    """log10 of −t/4 for the t-statistic of the slope."""
    count = medians.shape[-1]
    time = np.linspace(-1, 1, count)
    rate = slope(medians)
    residual = medians - medians.mean(-1, keepdims=True) - rate[..., None] * time
    error = np.sqrt((residual**2).sum(-1) / max(count - 2, 1) / (time**2).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log10(np.maximum(-rate, 0)) - np.log10(error) - np.log10(4)
    return np.clip(np.where(rate < 0, found, -LIMIT), -LIMIT, LIMIT)


def _tail(medians: Float[np.ndarray, "*cells parts"]) -> Cells:
    """log10 of the late fall over the fall before it, from the medians of eighths of the run."""
    if medians.shape[-1] < 8:
        return np.full(medians.shape[:-1], -LIMIT)
    top = medians.max(-1, keepdims=True)
    loss = 10.0 ** np.maximum(medians - top, -LIMIT / 2)
    late = loss[..., 4] - loss[..., 7]
    before = loss[..., 2] - loss[..., 4]
    going_on = (late > 0) & (before > 0) & (loss[..., 6] - loss[..., 7] >= late / 10)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log10(late) - np.log10(before)
    return np.clip(np.where(going_on, found, -LIMIT), -LIMIT, LIMIT)


def usual_level(late: Levels) -> Cells:
    """The larger of the mean and the median of late levels: rare dips do not lower it."""
    return np.maximum(late.mean(-1), median(late))


def _excursion(medians: Float[np.ndarray, "*cells parts"], peak: Levels) -> Cells:
    """Largest maximum of a late sixteenth of the run over the least median before it.

    The medians are those of the sixteenths from the last early one on.
    """
    half = medians.shape[-1] // 2
    peaks = parts(peak, 2 * half, highest)
    before = running(np.minimum, medians[..., half - 1 : -1])
    return np.max(peaks[..., half:] - before, axis=-1)
