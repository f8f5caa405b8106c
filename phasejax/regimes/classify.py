"""Classify envelopes and datasets."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from .._check import swept
from .._platform import usable_cores
from ..envelope import SOLVED, Envelope, Solved, edges, excess
from .codes import COMPUTED, NAMES, NO_REGIME, UNRESOLVED
from .describe import UNITS, describe
from .features import DESCRIPTIONS, features, in_decades
from .floors import Floor, estimate, known, over, stillness
from .nearest import nearest
from .rule import classify_features, is_tall
from .spikes import Excursions, Spikes, excursions_of, several, spike_numbers, spikes

Cells = Float[np.ndarray, "*cells"]

AT_ONCE = 2**16
"""Cells × windows that are labelled at once: their arrays fit a processor core's cache."""


class Judged(NamedTuple):
    """Labels and features `[...]` by name, and what they come from."""

    labels: dict[str, np.ndarray]
    floor: Floor
    excursions: Excursions
    spikes: Spikes


def judge(
    envelope: Envelope,
    initial_loss: Float[np.ndarray, "*cells"],
    eps: float,
    horizon: float,
    minimum: float | None,
    errors: np.ndarray | float = 0.0,
    fine: Envelope | None = None,
) -> Judged:
    """Label envelopes `[..., window]`.

    **Arguments:**

    - `envelope`: statistics of the loss per window.
    - `initial_loss`: the loss at the starting point.
    - `eps`: machine epsilon of the loss.
    - `horizon`: length of the runs: steps (an integer) or time (a float).
    - `minimum`: subtracted from the loss, as `log10_loss_mean` already has it; `None` if it is not
        known.
    - `errors`: losses over the minimum that are smaller are raised to this.
    - `fine`: the same runs in more windows, in which spikes are found.
    """
    windows = envelope.loss_mean.shape[-1]
    per_window = horizon / windows if isinstance(horizon, int) else np.inf
    floor = (
        estimate(envelope, initial_loss, per_window)
        if minimum is None
        else known(minimum, envelope.loss_mean.shape[:-1])
    )
    lowest = np.maximum(errors, floor.lowest)
    curves = in_decades(over(envelope, floor, eps), lowest)
    initial = np.maximum(excess(initial_loss, floor.minimum, eps), floor.lowest)
    lost = np.where(floor.estimated, errors, np.maximum(np.abs(floor.minimum) * eps, errors))
    found = features(curves, initial, eps, lost, horizon, floor.estimated)
    finer = curves if fine is None else in_decades(over(fine, floor, eps), lowest)
    excursions = excursions_of(finer, is_tall(found), floor.estimated)
    there = spikes(excursions)
    found = found._replace(stillness=stillness(floor), spiking=several(excursions, there))
    label, margin = classify_features(found)
    step = edges(horizon, windows)
    numbers = spike_numbers(excursions, there, edges(horizon, finer.level.shape[-1]))
    described = {**describe(curves, step)._asdict(), **numbers._asdict()}
    described["estimated_minimum"] = np.where(floor.estimated, floor.minimum, np.nan)
    labels = {"regime": label, "margin": margin, **found._asdict(), **described}
    return Judged(labels, floor, excursions, there)


def classify_envelope(
    envelope: Envelope,
    initial_loss: Float[np.ndarray, "*cells"],
    eps: float,
    horizon: float,
    minimum: float | None = None,
    floor: np.ndarray | float = 0.0,
    solved: Solved | None = None,
) -> dict[str, np.ndarray]:
    """Label envelopes of a sweep; returns `regime` (int8), `margin` and features, `[...]`.

    The arguments are those of `judge`, and:

    - `floor`: `errors` of `judge`.
    - `solved`: for flows, where the solver of each cell ended, and the loss below which only the
        solver's errors are seen, a further floor. Cells that ended early are `unresolved`. Its
        fields are returned with the others.
    """
    floor = floor if solved is None else np.maximum(floor, solved.loss_floor)

    def label(envelope: Envelope, initial: np.ndarray, floor: np.ndarray) -> dict[str, np.ndarray]:
        return judge(envelope, initial, eps, horizon, minimum, floor).labels

    floors = np.broadcast_to(floor, np.shape(initial_loss))
    labels = _in_pieces(label, envelope, initial_loss, floors)
    if solved is None:
        return labels
    regime = np.where(solved.end_time < horizon, UNRESOLVED, labels["regime"]).astype(np.int8)
    return labels | {"regime": regime} | solved._asdict()


def _in_pieces(
    label: Callable[..., dict[str, np.ndarray]], envelope: Envelope, *numbers: Cells
) -> dict[str, np.ndarray]:
    """Label cells in pieces, on all cores: most of the work runs without Python's lock.

    `label` takes envelopes `[cells, window]` and numbers `[cells]`. In memory, the cells of a
    window lie together, so that NumPy works on many cells at once. A cell alone is given twice:
    NumPy would sum its windows in another order.
    """
    shape, windows = np.shape(numbers[0]), envelope.loss_mean.shape[-1]
    curves: list[Any] = [x if x is None else x.reshape(-1, windows) for x in envelope]
    rows = [x.reshape(-1) for x in numbers]
    count, size = len(rows[0]), max(AT_ONCE // windows, 2)

    def labels_of(first: int) -> dict[str, np.ndarray]:
        last = min(first + size, count)
        piece = [first, first] if last == first + 1 else slice(first, last)
        part: Any = [x if x is None else np.asfortranarray(x[piece]) for x in curves]
        labels = label(Envelope(*part), *(x[piece] for x in rows))
        return {name: values[: last - first] for name, values in labels.items()}

    starts = range(0, max(count, 1), size)
    with ThreadPoolExecutor(min(usable_cores(), len(starts))) as pool:
        pieces = list(pool.map(labels_of, starts))
    joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return {name: values.reshape(shape) for name, values in joined.items()}


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
    envelope, initial, cells = _stored(dataset)
    cell_variables = {name: of for name, of in SOLVED.items() if name in dataset}
    solved = (
        Solved(*(dataset[name].transpose(*cells).values for name in SOLVED))
        if cell_variables
        else None
    )
    lowest = np.zeros(initial.shape) if floor is None else floor.transpose(*cells).values
    labels = classify_envelope(
        envelope,
        initial,
        float(np.finfo(dataset.attrs["dtype"]).eps),
        dataset.attrs["horizon"],
        minimum=dataset.attrs.get("minimum"),
        floor=lowest,
        solved=solved,
    )
    if dataset.attrs.get("refined_from"):
        computed = (dataset["status"] == COMPUTED).transpose(*cells).values
        refined = [cells.index(name) for name in dataset.attrs["refined_from"] if name in cells]
        labels["regime"] = nearest(labels["regime"], computed, refined)
    attributes = label_attributes(dataset.attrs["unit"], cell_variables)
    return dataset.assign({n: (cells, v, attributes[n]) for n, v in labels.items()})


def judged(dataset: xr.Dataset) -> Judged:
    """Judge every cell of a sweep in steps again; cells are `[cells]`, in the order of the grid."""
    envelope, initial, _ = _stored(dataset)
    curves: list[Any] = [x if x is None else x.reshape(-1, x.shape[-1]) for x in envelope]
    return judge(
        Envelope(*curves),
        initial.reshape(-1),
        float(np.finfo(dataset.attrs["dtype"]).eps),
        dataset.attrs["horizon"],
        dataset.attrs.get("minimum"),
    )


def _stored(dataset: xr.Dataset) -> tuple[Envelope, np.ndarray, tuple[Any, ...]]:
    """Return the envelope of a sweep, the loss at the start of each cell, and the cells' axes."""
    swept(dataset, "loss_min", "loss_max", "loss_mean", "log10_loss_mean", "initial_loss")
    names = [name for name in Envelope._fields if name in dataset]
    window_last = [dataset[name].transpose(..., "window") for name in names]
    cells = window_last[0].dims[:-1]
    initial = dataset["initial_loss"].broadcast_like(window_last[0].isel(window=0, drop=True))
    envelope = Envelope(*(x.values for x in window_last))
    return envelope, initial.transpose(*cells).values, cells


LABELS = tuple(label_attributes("time", SOLVED))
"""Names of all variables that `classify_envelope` makes; results have some of them."""


def regime_counts(dataset: xr.Dataset) -> dict[str, int]:
    """Count the cells of each regime; `unresolved` and `unlabelled` are included if not zero."""
    values = np.asarray(dataset["regime"])
    counts = {name: int(np.sum(values == code)) for code, name in enumerate(NAMES)}
    others = {name: int(np.sum(values == code)) for code, name in NO_REGIME.items()}
    return counts | {name: count for name, count in others.items() if count}
