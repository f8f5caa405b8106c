"""The part of a sweep without spikes and divergence, as a practitioner asks for it."""

from typing import Literal

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from .._check import bad, choice, swept
from ..regimes.codes import NAMES
from .axes import is_category, is_log, value_text

UNSAFE = ("spike", "divergence")
"""Regimes that a training should not have."""
End = Literal["low", "high"]


def safe_region(dataset: xr.Dataset, along: str, end: End | None = None) -> xr.Dataset:
    """Return how far an axis may be followed without spikes or divergence, for each row.

    ```python
    pj.safe_region(dataset, "learning_rate")["limit"]  # the largest safe rate of every row
    pj.safe_region(dataset, "b2", end="high")["limit"]  # the smallest safe b2
    ```

    A row is the cells that differ only in the axis `along`. It is followed from its `end`, "low" or
    "high"; by default from the one at which more rows are safe. A cell that spikes or diverges, or
    that has no label, ends the safe part, even if cells behind it are safe again.

    Returns a dataset without the axis `along`:

    - `limit`: the last safe value; nan if the first cell is not safe.
    - `unsafe_from`: the value after it; nan if the whole row is safe.
    - `margin`: how far apart these two are: their ratio, at least 1, if the axis is logarithmic,
        else their distance. The border lies between them.
    - `best`: the safe value with the lowest late loss, and `late_loss`: that loss, the mean over
        the last half of the windows.

    The attribute `end` says from where rows were followed, and `summary` what was found, in one
    sentence. Raises a `ValueError` for an axis that
    is not there, or holds names.
    """
    swept(dataset, "regime", "loss_mean")
    labels = dataset["regime"]
    choice("along", along, [str(name) for name in labels.dims])
    axis = dataset[along]
    if is_category(axis):
        raise bad("along", along, "an axis of numbers")
    if end is not None:
        choice("end", end, ("low", "high"))
    order = np.argsort(axis.values)
    safe = _is_safe(labels).isel({along: order})
    end = end or _safer_end(safe, along)
    if end == "high":
        order, safe = order[::-1], safe.isel({along: slice(None, None, -1)})
    within = safe.cumprod(along).astype(bool)
    values, count = axis.values[order].astype(float), within.sum(along)
    padded = np.concatenate([[np.nan], values, [np.nan]])
    limit, beyond = (count.copy(data=padded[count.values + k]) for k in (0, 1))
    beyond = beyond.where(count > 0)
    late = dataset["loss_mean"].isel(window=slice(dataset.sizes["window"] // 2, None))
    loss = late.mean("window").isel({along: order}).where(within, np.inf).fillna(np.inf)
    best = loss.argmin(along)
    known = np.isfinite(loss.min(along))
    ratio = np.maximum(beyond / limit, limit / beyond) if is_log(axis) else abs(beyond - limit)
    found = {
        "limit": limit,
        "unsafe_from": beyond,
        "margin": ratio,
        "best": best.copy(data=values[best.values]).where(known),
        "late_loss": loss.min(along).where(known),
    }
    region = xr.Dataset(found)
    return region.assign_attrs(along=along, end=end, summary=_sentence(region, along, end))


def _is_safe(labels: xr.DataArray) -> xr.DataArray:
    return labels.isin([code for code, name in enumerate(NAMES) if name not in UNSAFE])


def _safer_end(safe: xr.DataArray, along: str) -> End:
    """Say at which end of an ascending axis more rows are safe."""
    low, high = (int(safe.isel({along: place}).sum()) for place in (0, -1))
    return "low" if low >= high else "high"


def _sentence(region: xr.Dataset, along: str, end: End) -> str:
    """Say how far the axis may be followed in all safe rows, and in the best of them."""
    limits: Float[np.ndarray, " rows"] = region["limit"].values.ravel()
    some: Bool[np.ndarray, " rows"] = ~np.isnan(limits)
    if not some.any():
        return f"{along}: every row begins with a spike or a divergence"
    word, least, most = ("up to", min, max) if end == "low" else ("down to", max, min)
    text = f"{along}: no spike and no divergence {word} {least(limits[some]):.4g}"
    if limits.size == 1:
        return text
    row = region.isel(_places(region, int(np.flatnonzero(limits == most(limits[some]))[0])))
    where = ", ".join(f"{d} = {value_text(row[d].item())}" for d in region["limit"].dims)
    farthest = f"{word} {float(row['limit']):.4g} at {where}"
    return f"{text} in {some.sum()} of {limits.size} rows, and {farthest}"


def _places(region: xr.Dataset, row: int) -> dict[str, int]:
    """Places on all axes of a row."""
    dims = region["limit"].sizes
    places = np.unravel_index(row, tuple(dims.values()))
    return {str(name): int(place) for name, place in zip(dims, places, strict=True)}
