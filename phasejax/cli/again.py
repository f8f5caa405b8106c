"""Cells that run again, for the loss of every step: `info --at ... --replay`, `view --replay`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import phasejax as pj

from .._check import ArgumentError, bad
from . import values
from .sweep import set_up

if TYPE_CHECKING:
    import xarray as xr


def replays(dataset: "xr.Dataset", cells: Sequence[dict[str, Any]]) -> list["xr.Dataset"]:
    """Run cells again; returns what `phasejax.replay` does of each.

    Raises a `ValueError` for a problem or an optimizer of the user's own, of which a store has no
    more than the name, and for a flow.
    """
    from ..results.rerun import arguments_of

    set_up()  # building a problem may start JAX
    given = arguments_of(dataset)
    problem, dynamics = given["problem"], given["dynamics"]
    try:
        return [pj.replay(dataset, problem, dynamics=dynamics, **cell) for cell in cells]
    except TypeError as error:  # of a flow
        raise ArgumentError("replay", str(error).removeprefix("dataset")) from error


def on_grid(dataset: "xr.Dataset", text: str) -> dict[str, Any]:
    """Read the cell of `--replay`; refuses one that is not on the grid.

    The nearest value is taken of each axis, but not of a number outside the outermost cells.
    """
    from ..results.axes import cell_edges, in_order, is_category
    from ..results.summary import one_cell

    cell = values.point(text, "replay")
    nearest = one_cell(dataset, cell, "replay")
    for name, value in cell.items():
        if is_category(dataset[name]):
            continue
        low, *_, high = cell_edges(in_order(dataset[[name]], name), name)
        if not low <= float(value) <= high:
            ends = dataset[name].values.min(), dataset[name].values.max()
            raise bad("replay", f"{name}={value}", f"on the grid, {ends[0]:g} to {ends[1]:g}")
    return {name: nearest[name].item() for name in cell}


def replayed(dataset: "xr.Dataset", at: dict[str, Any]) -> dict[str, Any]:
    """Run one cell again, and describe the loss of its steps."""
    (run,) = replays(dataset, [at])
    loss, minimum = run["loss"].values, dataset.attrs.get("minimum", 0.0)
    spikes = pj.classify_curve(loss, minimum).spikes
    return {
        "same_bits": run.attrs.get("same_bits", "not known"),
        "spikes": len(spikes),
        "first_spike_step": spikes[0].step if spikes else np.nan,
        "lowest_loss_step": int(np.argmin(loss)),
        "highest_loss_step": int(np.argmax(loss)),
        "welch_period": pj.welch_period(np.maximum(loss - minimum, 0)),
    }
