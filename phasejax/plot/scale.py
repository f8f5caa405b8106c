"""Colour scales of variables: logarithmic, even, or centred at the value that matters."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LogNorm, Normalize

DECADES = 1.5
"""Positive values over more decades than this have a logarithmic scale."""
OUTER = 0.02
"""Share of the values below a scale, and of those above."""
FARTHEST = 1.0
"""Largest distance of the ends of a scale from the threshold 1: ratios up to 2 are told apart."""
AT_ONE = ("edge_", "predictor_m", "realised_edge_")
"""How variables begin that are ratios to a threshold, so that 1 is the centre of their scale."""
AT_ZERO = ("lyapunov_exponent", "lyapunov_params", "growth_rate", "gradient_cosine_")
"""How variables begin whose sign matters, so that 0 is the centre of their scale."""
STEPS = ("edge_onset", "edge_crossing")
"""Variables that begin like ratios and are steps."""
COLOUR_MAPS = {"linear": "viridis", "log": "viridis", "centred": "RdBu_r"}
"""matplotlib's names of colour maps by the kind of scale; all suit colour-blind readers."""

Kind = Literal["linear", "log", "centred"]


class Scale(NamedTuple):
    """Kind and ends of a colour scale."""

    kind: Kind
    low: float
    high: float

    @property
    def norm(self) -> Normalize:
        """matplotlib's map of values to the scale."""
        return (LogNorm if self.kind == "log" else Normalize)(self.low, self.high)

    def extended(
        self, values: Float[np.ndarray, "..."]
    ) -> Literal["neither", "min", "max", "both"]:
        """Say at which ends of the scale values are beyond it."""
        below, above = bool((values < self.low).any()), bool((values > self.high).any())
        return "both" if below and above else "min" if below else "max" if above else "neither"


def centre_of(name: str) -> float | None:
    """Return the value of a variable that a scale is centred at, or `None`."""
    if name in STEPS:
        return None
    return 1.0 if name.startswith(AT_ONE) else 0.0 if name.startswith(AT_ZERO) else None


def scale_of(name: str, values: Float[np.ndarray, "..."]) -> Scale:
    """Choose the scale of a variable from its name and its values; nan and inf are left out."""
    known = values[np.isfinite(values)]
    centre = centre_of(name)
    if centre is not None:
        away = np.abs(known - centre)
        reach = float(np.quantile(away, 1 - OUTER)) if away.size else 1.0
        reach = FARTHEST if centre else reach or 1.0
        return Scale("centred", centre - reach, centre + reach)
    if not known.size:
        return Scale("linear", 0.0, 1.0)
    low, high = _ends(known)
    if is_wide(known):
        return Scale("log", low, high)
    return Scale("linear", low, high) if high > low else Scale("linear", low - 0.5, high + 0.5)


def is_wide(known: Float[np.ndarray, " _"]) -> bool:
    """Say whether finite values are positive and span more than `DECADES`."""
    if not known.size or known.min() <= 0:
        return False
    low, high = _ends(known)
    return high / low > 10**DECADES


def _ends(known: Float[np.ndarray, " _"]) -> tuple[float, float]:
    """Return the values between which a scale lies; of few values the least and the largest."""
    low = np.quantile(known, OUTER, method="lower")
    return float(low), float(np.quantile(known, 1 - OUTER, method="higher"))
