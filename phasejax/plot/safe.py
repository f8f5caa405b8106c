"""The border of the part of a plane without spikes and divergence."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from .._check import choice
from ..results.axes import cell_edges
from ..results.safe import safe_region
from .style import OWN_SYMBOLS
from .titles import own

OUTER, INNER = 5.0, 2.6
"""Widths in points of the white line, and of the black line on it."""


def draw_safe(panel: Axes, dataset: xr.Dataset, x: str, y: str, along: str) -> None:
    """Draw where every row along one axis of the plane stops being safe, as a line of steps.

    Rows that are safe as a whole, or not at all, have their border at the edge of the plane.
    """
    choice("safe", along, [x, y])
    across = y if along == x else x
    region = safe_region(dataset, along)
    edges, ends = cell_edges(dataset, along), cell_edges(dataset, across)
    values, limits = dataset[along].values, region["limit"].values
    if region.attrs["end"] == "low":
        border = [edges[np.count_nonzero(values <= limit)] for limit in limits]
        word = "up"
    else:
        border = [edges[-1 - np.count_nonzero(values >= limit)] for limit in limits]
        word = "down"
    symbols = OWN_SYMBOLS if own(dataset) else {}
    name = symbols.get(along, along)
    strokes = (OUTER, "white", None), (INNER, "black", f"safe along {name} {word} to here")
    for width, colour, label in strokes:
        panel.stairs(
            border,
            ends,
            orientation="horizontal" if along == x else "vertical",
            baseline=None,
            color=colour,
            linewidth=width,
            label=label,
        )
