"""The rule that turns features into a regime and a margin.

Each regime has a *slack*, in decades: how far its conditions are met (zero or more) or missed
(negative). "All of" is a minimum of slacks and "any of" a maximum. The regimes are tested in the
order of `slacks` in `classify_features`; the first whose slack is not negative is the label. If
all slacks are negative, the cell is an oscillation: bounded, stationary, without large excursions.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from .codes import NAMES, UNLABELLED
from .features import LIMIT, Features

EXCURSION = 2.0
"""Spike: least height over the late level. A pure squared sinusoid reaches log10 4 = 0.6."""
RARE = 0.5
"""Spike: least height of the maximum over the mean, so that few losses are near the maximum."""
RETURN = 1.0
"""Spike: least fall of the level after the maximum."""
AT_START = 2.0
"""Divergence: least rise over the start, in the usual height of a maximum over the level."""
ESCAPE = 0.5
"""Divergence: least rise of the end level over the best level reached, if no `OVERSHOOT`."""
WANDERS = 5.0
"""Divergence: least rise, in scatters of the level. Of sixteen normal values one is three away."""
BEYOND = 0.1
"""Divergence: least `rise` over the largest rise from which the run came back before."""
OVERSHOOT = 1.0
"""Divergence: least height of the maximum over the initial loss, if no `ESCAPE`."""
NEAR_START = 0.5
"""Divergence: the end is at most this far below the initial loss (bounded networks saturate)."""
CLIMB = 0.3
"""Divergence by a steady climb: least rise from each quarter of the late part to the next."""
CLIMB_NEAR_START = 2.0
"""Divergence by a steady climb: the run ends at most this far below the initial loss."""
UNDERFLOW = 150.0
"""The square of a loss this far below the start is zero: nan after it is 0/0 from underflow."""
LOWEST = -307.0
"""A level at or below this counts as zero: the smallest normal number is 2e-308."""
FLOOR = 3.0
"""A loss that stays within this distance of (initial loss)·eps² is at the rounding floor."""
CONSTANT = 1e-12
"""A loss whose span is at most this is constant up to rounding."""
REST = 3.0
"""Parameters whose step is at most this far over their rounding are at rest."""
DRIFT = -2.0
"""Parameters whose steps could not move them by a hundredth in the late half are at rest."""
FLAT = 0.01
"""A loss at rest whose span is at most this is constant."""
FALL = 0.15
"""Descending: least `fall`. A loss ∝ 1/t falls by 0.25, one ∝ t^(−0.6) by 0.15."""
TAIL = -0.6
"""Descending: least `tail` if the fall is slow. A power of time has at least −0.4."""
SLOW = 0.05
"""Descending: least fall over an estimated floor; about 0.4 % of the fall of the run."""
DECLINE = 0.1
"""Descending: least fall if every quarter has a share in it, as with a decaying learning rate;"""
EVEN = 0.05
"""the share of the slowest quarter, over that of a steady fall, is at least this."""
VISIBLE = 0.4
"""Descending: least fall of the level over the late scatter."""

LABEL = {"at rest": "converged"}
"""Labels of the slacks that are not called like their label."""

Cells = Float[np.ndarray, "*cells"]


def classify_features(f: Features) -> tuple[Int[np.ndarray, "*cells"], Cells]:
    """Label cells: indices into `NAMES` (−1 where a feature is nan) and margins, in decades.

    The margin is how far the features can move before the label changes: the smaller of the slack
    of the regime and the distances to the regimes tested before it.
    """
    slacks = {
        "converged": _any_of(_underflowed(f), _at_zero(f), _at_rounding_floor(f), _under_errors(f)),
        "divergence": _any_of(_non_finite(f), _escaped(f), _climbing(f)),
        "spike": _any_of(_tall(f), f.spiking),
        "descending": _any_of(f.fall - FALL, _steady(f)),
        "at rest": _all_of(f.stillness, _any_of(_parameters_rest(f), f.span - CONSTANT)),
    }
    label = np.full(f.late_level.shape, NAMES.index("oscillation"))
    margin = np.full(f.late_level.shape, LIMIT)
    for name, slack in reversed(slacks.items()):
        label = np.where(slack >= 0, NAMES.index(LABEL.get(name, name)), label)
        margin = np.where(slack >= 0, slack, np.minimum(margin, -slack))
    undefined = np.isnan(f.late_level) | np.isnan(f.late_peak)
    return (
        np.where(undefined, UNLABELLED, label).astype(np.int8),
        np.where(undefined, np.nan, margin),
    )


def is_tall(f: Features) -> Bool[np.ndarray, "*cells"]:
    """Say whether the late maximum is a spike by its height alone."""
    return _tall(f) >= 0


def _tall(f: Features) -> Cells:
    return _all_of(f.intermittency - EXCURSION, f.rarity - RARE, f.recovery - RETURN)


def _underflowed(f: Features) -> Cells:
    """The loss is not finite because of 0/0 after v and the loss underflowed: no divergence."""
    return _all_of(_non_finite(f), -UNDERFLOW - f.last_finite_excess)


def _at_zero(f: Features) -> Cells:
    """The loss at the end is zero, or so small that it counts as zero."""
    return _exactly(f.end_level <= LOWEST)


def _at_rounding_floor(f: Features) -> Cells:
    """The loss is constant, at rest and not escaped, or it is stationary at the rounding floor.

    "At rest" excludes a cycle between points of the same loss, whose loss is constant too.
    """
    at_rest = _all_of(-_escaped(f) - 1e-9, _parameters_rest(f))
    flat = _all_of(_exactly(f.span <= FLAT), DRIFT - f.drift)
    constant = _all_of(_any_of(_exactly(f.span <= CONSTANT), flat), at_rest)
    return _any_of(
        constant,
        _all_of(FLOOR - f.floor, FALL - f.fall, EXCURSION - f.intermittency),
    )


def _parameters_rest(f: Features) -> Cells:
    return _any_of(REST - f.end_step, DRIFT - f.drift)


def _under_errors(f: Features) -> Cells:
    """The loss ends where only errors are seen, and the late part has no spike."""
    return _all_of(_exactly(f.end_over_errors <= CONSTANT), EXCURSION - f.intermittency)


def _non_finite(f: Features) -> Cells:
    return _exactly(f.late_peak >= LIMIT)


def _escaped(f: Features) -> Cells:
    noise = np.maximum(AT_START * f.scatter, WANDERS * f.wander)
    above = _all_of(f.end_excess - OVERSHOOT, f.end_excess - noise)
    risen = _all_of(f.rise - ESCAPE, f.rise - f.swing - BEYOND, f.rise - WANDERS * f.wander)
    left = _any_of(risen, f.overshoot - OVERSHOOT, above)
    return _all_of(f.end_excess + NEAR_START, left)


def _climbing(f: Features) -> Cells:
    return _all_of(f.climb - CLIMB, f.end_excess + CLIMB_NEAR_START)


def _steady(f: Features) -> Cells:
    """The level falls slowly but clearly, and goes on to fall as a power of time does."""
    visible = np.where(f.late_trend < 0, np.log10(np.maximum(-f.late_trend, 1e-300)), -LIMIT)
    visible = visible - np.log10(np.maximum(VISIBLE * f.scatter, 1e-300))
    far = _any_of(-SLOW - f.late_trend, _exactly(f.stillness <= -LIMIT))
    going_on = _all_of(f.tail - TAIL, far)
    to_the_end = _all_of(f.fall + EVEN * f.late_trend, -DECLINE - f.late_trend)
    visible = np.clip(visible, -LIMIT, LIMIT)
    return _all_of(f.steadiness, visible, _any_of(going_on, to_the_end))


def _exactly(condition: np.ndarray) -> Cells:
    return np.where(condition, LIMIT, -LIMIT)


def _all_of(*slacks: Cells) -> Cells:
    return np.minimum.reduce(slacks)


def _any_of(*slacks: Cells) -> Cells:
    return np.maximum.reduce(slacks)
