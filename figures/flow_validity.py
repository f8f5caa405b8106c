"""How long each flow follows Adam and RMSprop on digits, over a and b."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LogNorm
from matplotlib.figure import Figure

from phasejax.plot.ticks import plain_number, scale_axis
from phasejax.plot.titles import axis_name
from phasejax.results.axes import cell_edges

from .recipes import ROOT, run

TITLE = "Where flows follow Adam and RMSprop"
CAPTION = """
Adam and RMSprop (top rows) on the digits 8 and 9 (64-16-1, tanh, squared loss, 200 images,
η = 5e-4) for 2,000 steps, 12 × 12 cells, and three flows from the same start. Left, how near the
central flow comes to the edge of stability: 69 cells of Adam and all of RMSprop are at it. Right,
for how long the mean loss that a flow predicts is within 10 % of the optimizer's, in windows of
100 steps. Of the 69 cells the stable flow follows 2 to the end, the rod flow 4, the central flow
33; of the 26 with b ≥ 300 and a < 300, the central flow 21, and its parameters are 4 % off in the
median of the 69, relative to how far they have come (stable: 41 %, rod: 9 %). It ends where
momentum is strong (small b, where it has no delay), and at a ≥ 300, where v has a memory of a few
steps. In 19 of the 75 other cells the optimizer leaves the stable and the central flow without an
edge, by its momentum. In no cell is a third direction beyond the edge (`phasejax.compare_flows`).
"""
FOLDER = ROOT / "out" / "flow_validity" / "12x2000"
"""Where sweeps/flow_validity.py writes."""
PANELS = ("edge", "stable", "central", "rod")
"""How near the central flow comes to the edge, and how long each flow follows the optimizer."""
EDGE = LogNorm(0.01, 1)
"""Scale of the largest sharpness of a run, over the threshold."""
EDGE_COLOURS = "cividis"
"""Its colours."""
UNTIL = BoundaryNorm([*range(0, 2_001, 100), 2_100], 256)
"""Steps, of 2,000; the last colour is for flows that follow to the end."""


class Planes(NamedTuple):
    """Comparisons of Adam over a and b, and of RMSprop over a."""

    adam: xr.Dataset
    rmsprop: xr.Dataset


def compute() -> Planes:
    """Load both comparisons, or run them, which takes some ten minutes on two cores."""
    paths = [FOLDER / f"{name}_compared.zarr" for name in Planes._fields]
    if not all(path.exists() for path in paths):
        run("flow_validity.py")
    return Planes(*(xr.open_zarr(path).load() for path in paths))


def draw(planes: Planes) -> Figure:
    """Draw a panel for the edge and one for each flow; RMSprop is the row on top."""
    figure = Figure(figsize=(12.5, 5), layout="constrained")
    heights = 1, planes.adam.sizes["b"]
    panels = figure.subplots(2, len(PANELS), sharex=True, sharey="row", height_ratios=heights)
    for (row, plane), name in zip(panels.T, PANELS, strict=True):
        row.set_title("edge ratio" if name == "edge" else f"{name} flow", fontsize=10)
        _draw_cells(row, planes.rmsprop.expand_dims(b=[0.5]), np.array([0.0, 1.0]), name)
        _draw_cells(plane, planes.adam, cell_edges(planes.adam, "b"), name)
        scale_axis(plane, plane.xaxis, planes.adam["a"])
        plane.set_xlabel(axis_name(planes.adam, "a"))
    scale_axis(panels[1, 0], panels[1, 0].yaxis, planes.adam["b"])
    panels[1, 0].set_ylabel(axis_name(planes.adam, "b"))
    panels[0, 0].set_yticks([0.5], ["RMSprop"])
    below: dict[str, Any] = {"location": "bottom", "aspect": 30}
    edge = figure.colorbar(ScalarMappable(EDGE, EDGE_COLOURS), ax=panels[:, 0], **below)
    edge.set_label("largest edge ratio of the central flow")
    until = figure.colorbar(ScalarMappable(UNTIL, "viridis"), ax=panels[:, 1:], **below)
    until.set_ticks([float(x) for x in UNTIL.boundaries[::5]])
    until.set_label("steps until the predicted mean loss is wrong by 10 %; yellow: never")
    for bar in (edge, until):
        bar.ax.xaxis.set_major_formatter(lambda value, _: plain_number(float(value)))
    return figure


def _draw_cells(
    panel: Axes, dataset: xr.Dataset, edges: Float[np.ndarray, " edges"], name: str
) -> None:
    """Draw the cells of a plane, or of a row, in one panel."""
    if name == "edge":
        values, how = dataset["flow_edge_ratio"].max("window"), (EDGE, EDGE_COLOURS)
    else:
        values, how = dataset["follows_until"].sel(flow=name), (UNTIL, "viridis")
    norm, colours = how
    cells = values.transpose("b", "a").values
    panel.pcolormesh(cell_edges(dataset, "a"), edges, cells, norm=norm, cmap=colours)
