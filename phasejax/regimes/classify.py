"""From a loss curve or a dataset to regimes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from .._check import bad
from ..envelope import SOLVED, Envelope, Solved, excess, of_curve
from .codes import COMPUTED, NAMES, NO_REGIME, UNRESOLVED
from .describe import UNITS, describe
from .features import DESCRIPTIONS, features, in_decades
from .nearest import nearest
from .rule import classify_features

MIN_STEPS = 64
CURVE_WINDOWS = 256


@dataclass(frozen=True)
class Regime:
    """What a cell did. `str(regime)` is its label.

    - `label`: spike, oscillation, divergence, converged or descending.
    - `margin`: decades the features can move before the label changes.
    - `features`: the numbers the rule looked at, in decades, and those of `describe`.
    """

    label: str
    margin: float
    features: Mapping[str, float]

    def __str__(self) -> str:
        return self.label


def classify_curve(loss: ArrayLike, minimum: float = 0.0) -> Regime:
    """Say in which regime a training run is, from its loss curve alone.

    **Arguments:**

    - `loss`: `[steps]`, losses of one run, one per step, at least 64 and none below `minimum`;
        inf and nan are allowed. The second half of the curve is judged.
    - `minimum`: the smallest value that the loss can have, where it is not zero: it is
        subtracted, for the regimes live in decades above it. Losses within its rounding count
        as converged.

    Raises a `ValueError` for another shape, a shorter curve or losses below the minimum.
    """
    loss = np.asarray(loss)
    if loss.ndim != 1 or len(loss) < MIN_STEPS:
        raise bad("loss.shape", loss.shape, f"[steps] with at least {MIN_STEPS} steps")
    if not np.isfinite(minimum):
        raise bad("minimum", minimum, "a finite number")
    if not np.issubdtype(loss.dtype, np.floating):
        loss = loss.astype(np.float64)
    eps = float(np.finfo(loss.dtype).eps)
    if np.any(excess(loss, minimum, eps) < 0):
        lowest, allowed = float(np.nanmin(loss)), f"at least minimum = {minimum}"
        raise bad("loss.min()", lowest, allowed if minimum else "non-negative; give its minimum")
    loss, minimum = loss.astype(np.float64), float(loss.dtype.type(minimum))
    curve = of_curve(loss, min(CURVE_WINDOWS, len(loss) // 4), minimum, eps)
    one_cell = Envelope(*(np.asarray(field)[None] for field in curve))
    initial = loss[:1] if np.isfinite(loss[0]) else np.full(1, np.finfo(np.float64).max)
    labels = classify_envelope(one_cell, initial, eps, len(loss), minimum)
    code, margin, *_ = (value[0] for value in labels.values())
    numbers = {name: float(v[0]) for name, v in labels.items() if name not in ("regime", "margin")}
    return Regime(NAMES[code], float(margin), numbers)


def classify_envelope(
    envelope: Envelope,
    initial_loss: Float[np.ndarray, "*cells"],
    eps: float,
    horizon: float,
    minimum: float = 0.0,
    floor: np.ndarray | float = 0.0,
    solved: Solved | None = None,
) -> dict[str, np.ndarray]:
    """Label envelopes `[..., window]`: `regime` (int8), `margin` and the features, `[...]`.

    `initial_loss` has the cells' shape; `eps` is the machine epsilon of the loss, `horizon` the
    length of the runs (steps, an integer, or time, a float). What is judged is the loss less
    `minimum`, as `log10_loss_mean` has it; what is less than `floor` counts as that. For flows,
    `solved` says of each cell where it ended, and below which loss the solver's errors begin, which
    is another floor; cells that ended early are `unresolved`. It is returned among the rest.
    """
    floor = floor if solved is None else np.maximum(floor, solved.loss_floor)
    low, high, mean = (excess(x, minimum, eps) for x in envelope[:3])
    curves = in_decades(envelope._replace(loss_min=low, loss_max=high, loss_mean=mean), floor)
    initial = excess(initial_loss, minimum, eps)
    found = features(curves, initial, eps, np.maximum(abs(minimum) * eps, floor))
    label, margin = classify_features(found)
    described = describe(curves, horizon)
    beside = {} if solved is None else solved._asdict()
    if solved is not None:
        label = np.where(solved.end_time < horizon, UNRESOLVED, label).astype(np.int8)
    return {"regime": label, "margin": margin, **found._asdict(), **described._asdict(), **beside}


def label_attributes(
    unit: str = "step", cell_variables: Mapping[str, tuple[str, str]] = MappingProxyType({})
) -> dict[str, dict]:
    """Attributes of the variables that `classify_envelope` makes, by CF's conventions.

    `unit` and `cell_variables` are those of the dynamics; runs that may end early have their
    `end_time` among the latter.
    """
    names = (*NAMES, NO_REGIME[UNRESOLVED]) if "end_time" in cell_variables else NAMES
    regime = {
        "long_name": "regime",
        "flag_values": list(range(len(names))),
        "flag_meanings": " ".join(names),
    }
    decades = {name: {"long_name": text, "units": "decades"} for name, text in DESCRIPTIONS.items()}
    described = {
        name: {"long_name": text, "units": unit if of == "steps" and unit == "time" else of}
        for name, (text, of) in {**UNITS, **cell_variables}.items()
    }
    margin = {"long_name": "distance to the nearest regime boundary", "units": "decades"}
    return {"regime": regime, "margin": margin, **decades, **described}


def classify(dataset: xr.Dataset, floor: xr.DataArray | None = None) -> xr.Dataset:
    """Label every cell of a sweep anew, from its envelopes; returns a new dataset.

    **Arguments:**

    - `dataset`: what `phasejax.sweep` returned.
    - `floor`: losses, one a cell, below which nothing counts, beside a flow's own `loss_floor`:
        that of a flow, to label an optimizer by what both can show.

    Cells that never ran keep −1, as do cells whose loss fell below the problem's minimum. Cells
    that a refined sweep inferred have the regime of the nearest cell that it computed.
    """
    names = [name for name in Envelope._fields if name in dataset]
    window_last = [dataset[name].transpose(..., "window") for name in names]
    cells = window_last[0].dims[:-1]
    initial = dataset["initial_loss"].broadcast_like(window_last[0].isel(window=0, drop=True))
    cell_variables = {name: of for name, of in SOLVED.items() if name in dataset}
    solved = (
        Solved(*(dataset[name].transpose(*cells).values for name in SOLVED))
        if cell_variables
        else None
    )
    lowest = np.zeros(initial.shape) if floor is None else floor.transpose(*cells).values
    labels = classify_envelope(
        Envelope(*(x.values for x in window_last)),
        initial.transpose(*cells).values,
        float(np.finfo(dataset.attrs["dtype"]).eps),
        dataset.attrs["horizon"],
        minimum=dataset.attrs.get("minimum", 0.0),
        floor=lowest,
        solved=solved,
    )
    if dataset.attrs.get("refined_from"):
        computed = (dataset["status"] == COMPUTED).transpose(*cells).values
        refined = [cells.index(name) for name in dataset.attrs["refined_from"] if name in cells]
        labels["regime"] = nearest(labels["regime"], computed, refined)
    attributes = label_attributes(dataset.attrs["unit"], cell_variables)
    return dataset.assign({n: (cells, v, attributes[n]) for n, v in labels.items()})


LABELS = tuple(label_attributes("time", SOLVED))
"""Names of all variables that `classify_envelope` makes; results have some of them."""


def regime_counts(dataset: xr.Dataset) -> dict[str, int]:
    """Count the cells of each regime; `unresolved` and `unlabelled` appear where there are some."""
    values = np.asarray(dataset["regime"])
    counts = {name: int(np.sum(values == code)) for code, name in enumerate(NAMES)}
    others = {name: int(np.sum(values == code)) for code, name in NO_REGIME.items()}
    return counts | {name: count for name, count in others.items() if count}
