"""Classify one recorded loss curve."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Num
from numpy.typing import ArrayLike

from .._check import bad, is_finite_number
from ..envelope import Envelope, edges, excess, of_curve
from .classify import Judged, judge
from .codes import name_of
from .spikes import SEVERAL

MIN_STEPS = 16
"""Fewest losses of a curve that `classify_curve` accepts."""
FEW = 64
"""The label of a shorter curve is in doubt."""
DOUBT = 0.1
"""A label with a smaller margin, in decades, is in doubt."""
RISES = 0.2
"""A loss that is at rest but rises by more than this, in decades over its floor, is in doubt."""
VANISHES = 1e-3
"""A loss that is zero at its end, and was never below this share of its start, is in doubt."""
WINDOWS = 256
"""Most windows in which a curve is labelled, as many as a sweep has."""
FINE_WINDOWS = 4096
"""Most windows in which spikes are found."""
FIRST = 5
"""The start is the second largest of this many losses, if that is more than the first loss."""
DIGITS = 9
"""Numbers that this many significant digits show exactly are rounded to those digits."""
SAMPLE = 200
"""Number of losses whose digits are counted."""

Losses = Float[np.ndarray, " steps"]


@dataclass(frozen=True)
class Spike:
    """One spike of a curve.

    - `step`: of its highest loss.
    - `height`: of the highest loss over the level around the spike, in decades over the floor.
    - `duration`: steps from the first raised loss until the loss was low again; nan if it was not.
    - `returned`: whether it came back.
    """

    step: float
    height: float
    duration: float
    returned: bool


@dataclass(frozen=True)
class Regime:
    """What a run did. `str(regime)` is its label.

    - `label`: spike, oscillation, divergence, converged or descending.
    - `margin`: how far the features can move before the label changes, in decades.
    - `features`: the features that the rule uses, in decades, and the numbers of `describe`.
    - `spikes`: every spike of the whole run, in order.
    - `trend`: change of the level over the late half, in decades over the floor.
    - `scatter`: scatter of the loss around its level in the late half, in decades over the floor.
    - `floor`: what was subtracted from the loss: its minimum, or an estimate.
    - `floor_estimated`: whether the floor is an estimate.
    - `doubt`: whether the label is uncertain: the margin is below 0.1 decades, the curve has fewer
        than 64 losses, a converged loss rises, or a loss is suddenly zero.
    """

    label: str
    margin: float
    features: Mapping[str, float]
    spikes: tuple[Spike, ...]
    trend: float
    scatter: float
    floor: float
    floor_estimated: bool
    doubt: bool

    def __str__(self) -> str:
        return self.label


class Curve(NamedTuple):
    """Losses and their steps, without the gaps: float64, `[steps]`."""

    loss: Losses
    step: Losses
    eps: float
    minimum: float | None

    @property
    def start(self) -> float:
        """The initial loss; one low loss, such as a first logged zero, does not lower it."""
        first = self.loss[:FIRST]
        finite = np.sort(first[np.isfinite(first)])
        if not np.isfinite(first[0]) or len(finite) < 2:
            return float(np.nan_to_num(first[0], posinf=np.finfo(float).max))
        return float(max(first[0], finite[-2]))

    def envelope(self, windows: int) -> Envelope:
        """The envelope of one cell, `[1, window]`."""
        curve = of_curve(self.loss, windows, self.minimum or 0.0, self.eps)
        return Envelope(*(np.asarray(field)[None] for field in curve))


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def classify_curve(
    loss: ArrayLike, minimum: float | None = None, *, step: ArrayLike | None = None
) -> Regime:
    """Classify a training run from its loss curve alone.

    **Arguments:**

    - `loss`: `[steps]`, losses of one run, at least 16. nan before a finite loss means that
        nothing was logged there; inf, or nan up to the end, that the loss was not finite.
    - `minimum`: the smallest value that the loss can have. It is subtracted, because regimes are
        defined in decades above the minimum. `None` if it is not known: then it is zero if the
        loss is positive and falls by 1.5 decades, and is estimated otherwise.
    - `step`: `[steps]`, increasing: the step of each loss. By default the index of a pandas
        Series, if it is increasing numbers, and 0, 1, 2, … otherwise.

    Raises a `ValueError` for another shape, a shorter curve, losses below the minimum, or steps
    that do not increase.

    ```python
    regime = pj.classify_curve(losses)
    print(regime, [spike.step for spike in regime.spikes])
    ```
    """
    step = _index(loss) if step is None else step
    curve = _without_gaps(_checked(loss, minimum), minimum, _steps(step, np.shape(loss)))
    rows = len(curve.loss)
    coarse = curve.envelope(min(WINDOWS, max(rows // 4, min(rows, FEW))))
    fine = curve.envelope(min(FINE_WINDOWS, rows))
    judged = judge(coarse, np.full(1, curve.start), curve.eps, rows, curve.minimum, fine=fine)
    labels = {name: value[0] for name, value in judged.labels.items()}
    found = _spikes(judged, curve)
    numbers = {k: float(v) for k, v in labels.items() if k not in ("regime", "margin")}
    numbers |= _in_steps(numbers, curve, found)
    margin = float(labels["margin"])
    return Regime(
        name_of(labels["regime"]),
        margin,
        numbers,
        found,
        trend=numbers["late_trend"],
        scatter=numbers["scatter"],
        floor=float(judged.floor.minimum[0]),
        floor_estimated=bool(judged.floor.estimated[0]),
        doubt=margin < DOUBT or rows < FEW or _is_odd(curve, labels),
    )


def _is_odd(curve: Curve, labels: Mapping[str, Any]) -> bool:
    """Whether a loss rises although it is at rest, or is zero without having fallen."""
    rises = name_of(labels["regime"]) == "converged" and labels["late_trend"] > RISES
    shown = curve.loss[curve.loss > 0]
    vanishes = curve.loss[-1] == 0 and len(shown) and shown.min() > VANISHES * curve.start
    return bool(rises or vanishes)


def _checked(loss: ArrayLike, minimum: float | None) -> Losses:
    """Losses as floating-point numbers."""
    loss = _array("loss", loss)
    if loss.ndim != 1 or len(loss) < MIN_STEPS:
        raise bad("loss.shape", loss.shape, f"[steps] with at least {MIN_STEPS} steps")
    if loss.dtype.kind not in "fiub":
        raise bad("loss.dtype", str(loss.dtype), "real numbers")
    if minimum is not None and not is_finite_number(minimum):
        raise bad("minimum", minimum, "a finite number")
    return loss if loss.dtype.kind == "f" else loss.astype(np.float64)


def _array(name: str, values: ArrayLike) -> np.ndarray:
    """Values as an array; those that are masked are nan."""
    try:
        if isinstance(values, np.ma.MaskedArray):
            return np.where(np.ma.getmaskarray(values), np.nan, values.data)
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise bad(name, type(values).__name__, f"an array of numbers: {error}") from error


def _index(loss: ArrayLike) -> np.ndarray | None:
    """The index of a pandas Series, if it counts steps."""
    index: Any = getattr(loss, "index", None)
    values = index.to_numpy() if hasattr(index, "to_numpy") else np.zeros(0, object)
    counts = values.dtype.kind in "iuf" and np.isfinite(values).all()
    return values if counts and (np.diff(values) > 0).all() else None


def _steps(step: ArrayLike | None, shape: tuple[int, ...]) -> Losses:
    """The steps as float64; checks them."""
    if step is None:
        return np.arange(shape[0], dtype=np.float64)
    given = _array("step", step)
    if given.dtype.kind not in "fiu":
        raise bad("step.dtype", str(given.dtype), "real numbers")
    steps = given.astype(np.float64)
    if steps.shape != shape:
        raise bad("step.shape", steps.shape, f"the shape of loss, {shape}")
    if not (np.isfinite(steps).all() and (np.diff(steps) > 0).all()):
        at = np.flatnonzero(~(np.diff(steps, prepend=-np.inf) > 0) | ~np.isfinite(steps))[0]
        raise bad(f"step[{at}]", float(steps[at]), "finite, and larger than the step before")
    return steps


def _without_gaps(loss: Losses, minimum: float | None, step: Losses) -> Curve:
    """Leave out what was not logged: nan before a finite loss, and a gap at the end.

    nan at the end is a gap if an earlier gap was at least as long.
    """
    eps = _eps(loss)
    missing = np.isnan(loss)
    lengths = np.diff(np.flatnonzero(np.diff(np.r_[False, missing, False].astype(np.int8))))[::2]
    if missing[-1] and not (len(lengths) > 1 and lengths[-1] <= lengths[:-1].max()):
        missing[len(loss) - lengths[-1] :] = False
    kept, step = loss[~missing], step[~missing]
    if len(kept) < MIN_STEPS:
        raise bad("loss", f"{len(kept)} numbers", f"at least {MIN_STEPS} that are not nan")
    if minimum is not None:
        if np.any(excess(kept, minimum, eps) < 0):
            raise bad("loss.min()", float(np.nanmin(kept)), f"at least minimum = {minimum}")
        minimum = float(kept.dtype.type(minimum))
    return Curve(kept.astype(np.float64), step, eps, minimum)


def _eps(loss: Num[np.ndarray, " steps"]) -> float:
    """Relative rounding of the losses, by what the numbers show.

    Losses that came through float32, or through a text with few digits, are rounded to that.
    """
    eps = float(np.finfo(loss.dtype).eps)
    shown = loss[np.isfinite(loss) & (loss != 0)].astype(np.float64)
    shown = shown[:: max(len(shown) // SAMPLE, 1)]
    if np.all(shown == shown.astype(np.float32)) or _has_few_digits(shown):
        return max(eps, float(np.finfo(np.float32).eps))
    return eps


def _has_few_digits(values: Float[np.ndarray, " values"]) -> bool:
    return all(float(f"{value:.{DIGITS}g}") == value for value in values)


def _spikes(judged: Judged, curve: Curve) -> tuple[Spike, ...]:
    """List the spikes of one curve."""
    heights = judged.excursions.height[0]
    bounds = edges(len(curve.loss), len(heights))
    after = np.r_[curve.step, 2 * curve.step[-1] - curve.step[-2]]
    listed = []
    for _, first, highest, last, returned in zip(*judged.spikes, strict=True):
        rows = slice(bounds[highest], bounds[highest + 1])
        losses = np.where(np.isfinite(curve.loss[rows]), curve.loss[rows], np.inf)
        row = bounds[highest] + int(np.argmax(losses))
        duration = after[bounds[last + 1]] - after[bounds[first]] if returned else np.nan
        spike = Spike(
            float(curve.step[row]), float(heights[highest]), float(duration), bool(returned)
        )
        listed.append(spike)
    return tuple(listed)


def _in_steps(
    numbers: Mapping[str, float], curve: Curve, found: tuple[Spike, ...]
) -> dict[str, float]:
    """The numbers of `describe` in units of the steps that were logged."""
    each = float(np.median(np.diff(curve.step)))
    span = found[-1].step - found[0].step if found else np.nan
    return {
        "onset": float(curve.step[int(numbers["onset"])]),
        "period": numbers["period"] * each,
        "spike_period": span / (len(found) - 1) if len(found) >= SEVERAL else np.nan,
    }
