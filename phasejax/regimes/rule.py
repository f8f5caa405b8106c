"""The rule that turns features into a regime and a margin. It is all here.

Each regime has a *slack*, in decades: how far its conditions are met (zero or more) or missed
(less). "All of" is a minimum of slacks and "any of" a maximum. The regimes are asked in the order
of `slacks` below; the first whose slack is not negative is the answer. What is none of the others
is an oscillation: bounded, stationary, without large excursions.
"""

import numpy as np
from jaxtyping import Float, Int

from .codes import NAMES, UNLABELLED
from .features import LIMIT, Features

EXCURSION = 2.0
"""A spike stands this far over the late level; a pure squared sinusoid reaches log10 4 = 0.6."""
RETURN = 1.0
"""... and the level has come down at least this far since."""
ESCAPE = 0.5
"""A diverged loss has left the best level it reached by this much ..."""
OVERSHOOT = 1.0
"""... or has been this far above the initial loss ..."""
NEAR_START = 0.5
"""... and ends above the initial loss, or at most this far below (a bounded network saturates)."""
CLIMB = 0.3
"""A loss climbs without return if each quarter of the late part rises by this much ..."""
CLIMB_NEAR_START = 2.0
"""... and it ends at most this far under the initial loss."""
UNDERFLOW = 150.0
"""A loss this far down squares to zero: non-finite numbers after it are an underflow's 0/0."""
LOWEST = -307.0
"""Losses down here are zero, or about to be: the smallest normal number is 2e-308."""
FLOOR = 3.0
"""A loss that stays within this distance of (initial loss)·eps² is at the rounding floor."""
CONSTANT = 1e-12
"""A loss that moves by no more than this is constant to the last bits."""
REST = 3.0
"""Parameters whose step is at most this far over their rounding are at rest."""
FALL = 0.15
"""A level that goes on falling to the end, at this rate per late part, is still descending. A loss
∝ 1/t falls by 0.25, one ∝ t^(−0.6) by 0.15."""

Cells = Float[np.ndarray, "*cells"]


def classify_features(f: Features) -> tuple[Int[np.ndarray, "*cells"], Cells]:
    """Label cells: indices into `NAMES` (−1 where a feature is nan) and margins, in decades.

    The margin is how far the features can move before the answer changes: the slack of the
    regime, or the distance to one asked earlier, whichever is nearer.
    """
    slacks = {
        "converged": _any_of(_underflowed(f), _at_zero(f), _at_rounding_floor(f), _under_errors(f)),
        "divergence": _any_of(_non_finite(f), _escaped(f), _climbing(f)),
        "spike": _all_of(f.intermittency - EXCURSION, f.recovery - RETURN),
        "descending": f.fall - FALL,
    }
    label = np.full(f.late_level.shape, NAMES.index("oscillation"))
    margin = np.full(f.late_level.shape, LIMIT)
    for name, slack in reversed(slacks.items()):
        label = np.where(slack >= 0, NAMES.index(name), label)
        margin = np.where(slack >= 0, slack, np.minimum(margin, -slack))
    undefined = np.isnan(f.late_level) | np.isnan(f.late_peak)
    return (
        np.where(undefined, UNLABELLED, label).astype(np.int8),
        np.where(undefined, np.nan, margin),
    )


def _underflowed(f: Features) -> Cells:
    """A non-finite loss that is no divergence: 0/0 after v and the loss underflowed."""
    return _all_of(_non_finite(f), -UNDERFLOW - f.last_finite_excess)


def _at_zero(f: Features) -> Cells:
    """The loss is exactly zero, or so low that it counts as zero, at the end."""
    return _exactly(f.end_level <= LOWEST)


def _at_rounding_floor(f: Features) -> Cells:
    """Constant to the last bits, at rest and not escaped, or stationary at the rounding floor.

    A cycle between points of the same loss has a constant loss, and is not at rest.
    """
    at_rest = _all_of(-_escaped(f) - 1e-9, REST - f.end_step)
    constant = _all_of(_exactly(f.span <= CONSTANT), at_rest)
    return _any_of(
        constant,
        _all_of(FLOOR - f.floor, FALL - f.fall, EXCURSION - f.intermittency),
    )


def _under_errors(f: Features) -> Cells:
    """It ends where only errors are seen, and no spike came between."""
    return _all_of(_exactly(f.end_over_errors <= CONSTANT), EXCURSION - f.intermittency)


def _non_finite(f: Features) -> Cells:
    return _exactly(f.late_peak >= LIMIT)


def _escaped(f: Features) -> Cells:
    left = _any_of(f.rise - ESCAPE, f.overshoot - OVERSHOOT)
    return _all_of(f.end_excess + NEAR_START, left)


def _climbing(f: Features) -> Cells:
    return _all_of(f.climb - CLIMB, f.end_excess + CLIMB_NEAR_START)


def _exactly(condition: np.ndarray) -> Cells:
    return np.where(condition, LIMIT, -LIMIT)


def _all_of(*slacks: Cells) -> Cells:
    return np.minimum.reduce(slacks)


def _any_of(*slacks: Cells) -> Cells:
    return np.maximum.reduce(slacks)
