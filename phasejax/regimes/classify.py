"""Classify loss curves, envelopes and datasets."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from .._check import bad
from ..envelope import SOLVED, Envelope, Solved, excess, of_curve
from .codes import COMPUTED, NAMES, NO_REGIME, UNRESOLVED, name_of
from .describe import UNITS, describe
from .features import DESCRIPTIONS, features, in_decades
from .nearest import nearest
from .rule import classify_features

MIN_STEPS = 64
"""Fewest losses of a curve that `classify_curve` accepts."""
CURVE_WINDOWS = 256
"""Most windows that `classify_curve` divides a curve into."""


@dataclass(frozen=True)
class Regime:
    """What a cell did. `str(regime)` is its label.

    - `label`: spike, oscillation, divergence, converged or descending.
    - `margin`: how far the features can move before the label changes, in decades.
    - `features`: the features that the rule uses, in decades, and the numbers of `describe`.
    """

    label: str
    margin: float
    features: Mapping[str, float]

    def __str__(self) -> str:
        return self.label


def classify_curve(loss: ArrayLike, minimum: float = 0.0) -> Regime:
    """Classify a training run from its loss curve alone.

    **Arguments:**

    - `loss`: `[steps]`, losses of one run, one per step, at least 64 and none below `minimum`;
        inf and nan are allowed. The second half of the curve is classified.
    - `minimum`: the smallest value that the loss can have, if it is not zero. It is subtracted,
        because regimes are defined in decades above the minimum. A loss within the minimum's
        rounding counts as converged.

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
    return Regime(name_of(code), float(margin), numbers)


def classify_envelope(
    envelope: Envelope,
    initial_loss: Float[np.ndarray, "*cells"],
    eps: float,
    horizon: float,
    minimum: float = 0.0,
    floor: np.ndarray | float = 0.0,
    solved: Solved | None = None,
) -> dict[str, np.ndarray]:
    """Label envelopes `[..., window]`; returns `regime` (int8), `margin` and features, `[...]`.

    **Arguments:**

    - `envelope`: statistics of the loss per window.
    - `initial_loss`: the loss at the starting point.
    - `eps`: machine epsilon of the loss.
    - `horizon`: length of the runs: steps (an integer) or time (a float).
    - `minimum`: subtracted from the loss, as `log10_loss_mean` already has it.
    - `floor`: smaller losses over the minimum are raised to it.
    - `solved`: for flows, where the solver of each cell ended, and the loss below which only the
        solver's errors are seen, a further floor. Cells that ended early are `unresolved`. Its
        fields are returned with the others.
    """
    floor = floor if solved is None else np.maximum(floor, solved.loss_floor)
    low, high, mean = (excess(x, minimum, eps) for x in envelope[:3])
    curves = in_decades(envelope._replace(loss_min=low, loss_max=high, loss_mean=mean), floor)
    initial = excess(initial_loss, minimum, eps)
    found = features(curves, initial, eps, np.maximum(abs(minimum) * eps, floor))
    label, margin = classify_features(found)
    described = describe(curves, horizon)
    solver = {} if solved is None else solved._asdict()
    if solved is not None:
        label = np.where(solved.end_time < horizon, UNRESOLVED, label).astype(np.int8)
    return {"regime": label, "margin": margin, **found._asdict(), **described._asdict(), **solver}


def label_attributes(
    unit: str = "step", cell_variables: Mapping[str, tuple[str, str]] = MappingProxyType({})
) -> dict[str, dict]:
    """Attributes of the variables that `classify_envelope` returns, by the CF conventions.

    `unit` and `cell_variables` are those of the dynamics. If `cell_variables` has `end_time`, runs
    can end early, and the regime `unresolved` is among the flags.
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
    """Label every cell of a sweep again, from its envelopes; returns a new dataset.

    **Arguments:**

    - `dataset`: what `phasejax.sweep` returned.
    - `floor`: one loss per cell; smaller losses are raised to it, as they are to a flow's own
        `loss_floor`. Pass the `loss_floor` of a flow to label an optimizer with the same floor.

    Cells that were never run keep −1, as do cells whose loss fell below the problem's minimum.
    Cells that a refined sweep inferred get the regime of the nearest computed cell.
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
    """Count the cells of each regime; `unresolved` and `unlabelled` are included if not zero."""
    values = np.asarray(dataset["regime"])
    counts = {name: int(np.sum(values == code)) for code, name in enumerate(NAMES)}
    others = {name: int(np.sum(values == code)) for code, name in NO_REGIME.items()}
    return counts | {name: count for name, count in others.items() if count}
