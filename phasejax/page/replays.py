"""Replayed cells on a page: which cells of the sweep they are."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from .._check import bad
from ..results.axes import value_text

MOST_STEPS = 1_000_000
"""Most steps of all replays together: 8 bytes each, in base64 11 MB."""


def by_cell(
    dataset: xr.Dataset, x: str, y: str, replays: Sequence[xr.Dataset]
) -> dict[int, xr.Dataset]:
    """Return replays by the number of their cell, in the order `[x, y]`.

    Raises a `ValueError` for a dataset that is not a replay of a cell on the page, and for more
    than `MOST_STEPS` steps, and a `TypeError` for what is no list of datasets.
    """
    if not isinstance(replays, list | tuple) or not all(isinstance(x, xr.Dataset) for x in replays):
        kind = type(replays).__name__
        raise TypeError(f"replays, a {kind}, must be a list of what phasejax.replay returned")
    found = {_number(dataset, x, y, run): run for run in replays}
    steps = sum(run.sizes["step"] for run in found.values())
    if steps > MOST_STEPS:
        raise bad("replay steps", steps, f"at most {MOST_STEPS}, of all replays together")
    return found


def _number(dataset: xr.Dataset, x: str, y: str, run: xr.Dataset) -> int:
    """Number of the cell of a replay."""
    axes = dataset.attrs["axes"]
    if "loss" not in run or not set(axes) <= set(run.coords):
        raise bad("replay", list(run), f"what phasejax.replay returned, with {', '.join(axes)}")
    cell = {name: run[name].item() for name in axes}
    places = {
        name: np.flatnonzero(np.ravel(dataset[name].values) == value)
        for name, value in cell.items()
        if name in dataset.coords
    }
    text = ",".join(f"{name}={value_text(value)}" for name, value in cell.items())
    if not all(found.size for found in places.values()):
        raise bad("replay", text, "a cell of the page")
    i, j = int(places[x][0]), int(places[y][0])
    if not _is_of(dataset.isel({x: i, y: j}), run):
        raise bad("replay", text, "of this sweep; its steps or its losses are others")
    return i * dataset.sizes[y] + j


def _is_of(cell: xr.Dataset, run: xr.Dataset) -> bool:
    """Say whether a replay has the steps of a cell and, if of the same bits, its least losses."""
    if run.sizes["step"] != cell.attrs.get("steps"):
        return False
    if not run.attrs.get("same_bits"):
        return True
    least = np.minimum.reduceat(run["loss"].values, cell["step"].values.astype(int))
    return np.array_equal(least, cell["loss_min"].values)
