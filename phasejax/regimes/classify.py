"""From a loss curve or a dataset to regimes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from .._check import bad
from ..envelope import Envelope, of_curve
from .features import DESCRIPTIONS, features
from .rule import NAMES, UNLABELLED, classify_features

MIN_STEPS = 64
CURVE_WINDOWS = 256


@dataclass(frozen=True)
class Regime:
    """What a cell did. `str(regime)` is its label.

    - `label`: spike, oscillation, divergence, converged or descending.
    - `margin`: decades the features can move before the label changes.
    - `features`: the numbers the rule looked at, in decades.
    """

    label: str
    margin: float
    features: Mapping[str, float]

    def __str__(self) -> str:
        return self.label


def classify_curve(loss: ArrayLike) -> Regime:
    """Say in which regime a training run is, from its loss curve alone.

    **Arguments:**

    - `loss`: `[steps]`, non-negative losses, one per step, at least 64; inf and nan are allowed.
        The second half of the curve is judged.

    Raises a `ValueError` for another shape, a shorter curve or negative losses.
    """
    loss = np.asarray(loss)
    if loss.ndim != 1 or len(loss) < MIN_STEPS:
        raise bad("loss.shape", loss.shape, f"[steps] with at least {MIN_STEPS} steps")
    if not np.issubdtype(loss.dtype, np.floating):
        loss = loss.astype(np.float64)
    if np.any(loss < 0):
        raise bad("loss.min()", float(np.nanmin(loss)), "non-negative; subtract the minimum")
    eps = float(np.finfo(loss.dtype).eps)
    curve = of_curve(loss.astype(np.float64), min(CURVE_WINDOWS, len(loss) // 4))
    one_cell = Envelope(*(np.asarray(field)[None] for field in curve))
    initial = loss[:1] if np.isfinite(loss[0]) else np.full(1, np.finfo(np.float64).max)
    found = features(one_cell, initial, eps)
    label, margin = classify_features(found)
    numbers = {name: float(value[0]) for name, value in found._asdict().items()}
    return Regime(NAMES[label[0]], float(margin[0]), numbers)


def classify_envelope(
    envelope: Envelope, initial_loss: Float[np.ndarray, "*cells"], eps: float
) -> dict[str, np.ndarray]:
    """Label envelopes `[..., window]`: `regime` (int8), `margin` and the features, `[...]`.

    `initial_loss` has the cells' shape; `eps` is the machine epsilon of the loss.
    """
    found = features(envelope, initial_loss, eps)
    label, margin = classify_features(found)
    return {"regime": label, "margin": margin, **found._asdict()}


def label_attributes() -> dict[str, dict]:
    """Attributes of the variables that `classify_envelope` makes, by CF's conventions."""
    regime = {
        "long_name": "regime",
        "flag_values": list(range(len(NAMES))),
        "flag_meanings": " ".join(NAMES),
    }
    decades = {name: {"long_name": text, "units": "decades"} for name, text in DESCRIPTIONS.items()}
    margin = {"long_name": "distance to the nearest regime boundary", "units": "decades"}
    return {"regime": regime, "margin": margin, **decades}


def classify(dataset: xr.Dataset) -> xr.Dataset:
    """Label every cell of a sweep anew, from its envelopes; returns a new dataset.

    Cells that never ran keep −1, as do cells whose loss was negative.
    """
    window_last = [dataset[name].transpose(..., "window") for name in Envelope._fields]
    cells = window_last[0].dims[:-1]
    initial = dataset["initial_loss"].broadcast_like(window_last[0].isel(window=0, drop=True))
    eps = float(np.finfo(dataset.attrs["dtype"]).eps)
    labels = classify_envelope(
        Envelope(*(x.values for x in window_last)), initial.transpose(*cells).values, eps
    )
    attributes = label_attributes()
    return dataset.assign({n: (cells, v, attributes[n]) for n, v in labels.items()})


def regime_counts(dataset: xr.Dataset) -> dict[str, int]:
    """Count the cells of each regime; `unlabelled` appears only where there are such cells."""
    values = np.asarray(dataset["regime"])
    counts = {name: int(np.sum(values == code)) for code, name in enumerate(NAMES)}
    unlabelled = int(np.sum(values == UNLABELLED))
    return counts | ({"unlabelled": unlabelled} if unlabelled else {})
