"""One panel of a figure: the regimes or the late loss of a plane, its legend, lines and marks."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch

from .._check import bad
from ..regimes import NAMES, UNRESOLVED, name_of, regime_counts
from ..regimes.codes import CODE_NAMES, INFERRED
from ..results.axes import cell_edges
from .lines import Line, Lines, Name, lines_over, name_places
from .marks import Marks, marks_on
from .style import COLOURS, DECAYS, HATCH, INFERRED_SHADE, SAME_COLOUR, STROKES
from .ticks import decay_ticks, scale_axis
from .titles import axis_name, printable

RASTER_CELLS = 10_000
"""Planes of more cells are pixels in vector graphics, so that a PDF or SVG stays small."""


def draw_regimes(panel: Axes, dataset: xr.Dataset, x: str, y: str) -> None:
    """Draw the regime of every cell: inferred cells paler, unresolved cells hatched."""
    edges = cell_edges(dataset, x), cell_edges(dataset, y)
    codes = dataset["regime"].transpose(y, x).values
    many = codes.size > RASTER_CELLS
    panel.pcolormesh(
        *edges,
        codes,
        cmap=ListedColormap([COLOURS[name] for name in CODE_NAMES.values()]),
        norm=BoundaryNorm([c - 0.5 for c in (*CODE_NAMES, UNRESOLVED + 1)], len(CODE_NAMES)),
        rasterized=many,
    )
    panel.pcolor(
        *edges,
        np.ma.masked_where(codes != UNRESOLVED, codes),
        cmap=ListedColormap([COLOURS["unresolved"]]),
        hatch=HATCH,
        edgecolor="0.3",
        linewidth=0,
    )
    inferred = inferred_cells(dataset, x, y)
    if inferred.any():
        shade = np.ma.masked_where(~inferred, inferred)
        white = ListedColormap(["#ffffff"])
        panel.pcolormesh(*edges, shade, cmap=white, alpha=INFERRED_SHADE, rasterized=many)


def draw_late_loss(figure: Figure, panel: Axes, dataset: xr.Dataset, x: str, y: str) -> None:
    """Draw the late mean of log10 of the loss, with a colour bar; grey where there is no curve."""
    level = dataset["late_level"].transpose(y, x).values
    minimum = dataset.attrs.get("minimum", 0.0)
    above = max(float(dataset["initial_loss"].max()) - minimum, np.finfo(float).tiny)
    top = float(np.log10(above)) + 1
    known = level[np.isfinite(level)]
    panel.set_facecolor("0.85")  # cells without a curve
    bottom = max(float(np.quantile(known, 0.02)), top - 40) if known.size else top - 1
    mesh = panel.pcolormesh(
        cell_edges(dataset, x),
        cell_edges(dataset, y),
        level,
        cmap="viridis",
        vmin=min(bottom, top - 1),
        vmax=top,
        rasterized=level.size > RASTER_CELLS,
    )
    loss = f"(loss − ({minimum:g}))" if minimum else "loss"
    label = rf"late mean of $\log_{{10}}$ {loss} (decades)"
    figure.colorbar(mesh, ax=panel, extend="both", label=label)


def inferred_cells(dataset: xr.Dataset, x: str, y: str) -> Bool[np.ndarray, "y x"]:
    """Say which cells were inferred by refinement."""
    return (dataset["status"] == INFERRED).transpose(y, x).values


def legend_of(dataset: xr.Dataset, same: int | None = None) -> dict[str, Any]:
    """Arguments of a legend that lists the regimes that occur and their numbers of cells.

    For a refined sweep it also explains the pale colours. `same`, if given, is the number of cells
    that have the same regime in two sweeps; these are grey.
    """
    counts = {name: count for name, count in regime_counts(dataset).items() if count}
    entries: dict[str, Patch | tuple[Patch, ...]] = {}
    if same is not None:
        entries[f"the same  {same}"] = _patch(SAME_COLOUR)
    for name, count in counts.items():
        hatch = HATCH if name == "unresolved" else None
        entries[f"{name}  {count}"] = _patch(COLOURS[name], hatch)
    codes = dataset["regime"].values
    inferred = (dataset["status"] == INFERRED).values
    if same is None and inferred.any():
        found = [code for code in np.unique(codes[inferred]) if code in range(len(NAMES))]
        pale = tuple(_patch(paler(COLOURS[name_of(code)])) for code in found)
        entries[f"pale: inferred  {inferred.sum()}"] = pale
    return {
        "handles": list(entries.values()),
        "labels": list(entries),
        "handler_map": {tuple: HandlerTuple(ndivide=None, pad=0)},
    }


def paler(colour: str) -> tuple[float, ...]:
    """Return the colour of an inferred cell."""
    return tuple(v + INFERRED_SHADE * (1 - v) for v in to_rgb(colour))


def _patch(colour: Any, hatch: str | None = None) -> Patch:
    return Patch(facecolor=colour, edgecolor="0.3", linewidth=0.5, hatch=hatch)


def draw_legend(
    panel: Axes, dataset: xr.Dataset, columns: int = 3, same: int | None = None
) -> None:
    """Put the legend of one panel below it; areas and steps with a label are listed last."""
    listed = legend_of(dataset, same)
    for drawn, name in zip(*panel.get_legend_handles_labels(), strict=True):
        if isinstance(drawn, Patch):  # lines have their names next to them
            listed["handles"].append(drawn)
            listed["labels"].append(name)
    panel.legend(
        **listed,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=columns,
        frameon=False,
    )


def decorate(
    panel: Axes,
    dataset: xr.Dataset,
    x: str,
    y: str,
    marks: Marks | None = None,
    lines: Lines | None = None,
    beta: bool = False,
) -> None:
    """Scale and label the axes, and draw the lines and marks of the plane.

    `beta` shows the axes `delta` and `gamma` as the decays β, rightwards and upwards.
    """
    falling = [name for name in (x, y) if beta and name in DECAYS]
    if beta and not falling:
        raise bad("beta", beta, f"left out: the axes are {x} and {y}, none is delta or gamma")
    for axis, name in ((panel.xaxis, x), (panel.yaxis, y)):
        scale_axis(panel, axis, dataset[name])
        ends = cell_edges(dataset, name)[[0, -1]]
        if name in falling:
            axis.set_label_text(DECAYS[name])
            decay_ticks(axis)
            ends = ends[::-1]
        else:
            axis.set_label_text(axis_name(dataset, name))
        (panel.set_xlim if axis is panel.xaxis else panel.set_ylim)(*ends)
    over, marked = lines_over(dataset, x, y, lines), marks_on(dataset, x, y, marks)
    for number, (line, name) in enumerate(
        zip(over, name_places(dataset, x, y, over, marked, falling), strict=True)
    ):
        draw_line(panel, line, name, STROKES[number % len(STROKES)])
    for mark in marked:
        panel.plot(mark.x, mark.y, "o", ms=7, mfc="white", mec="black")
        _label(panel, mark.text, (mark.x, mark.y), offset=(0, 7), ha="center", fontsize=9)


def draw_line(panel: Axes, line: Line, name: Name, stroke: str) -> None:
    """Draw a line in black on white, with its name next to one of its points."""
    panel.plot(line.x, line.y, color="white", linewidth=2.4)
    label = printable(line.name)
    panel.plot(line.x, line.y, color="black", linewidth=1.2, linestyle=stroke, label=label)
    offset = (-8 if name.left else 8, 8 if name.above else -8)
    across, up = "right" if name.left else "left", "bottom" if name.above else "top"
    _label(panel, label, (name.x, name.y), offset, ha=across, va=up, fontsize=9)


def _label(panel: Axes, text: str, at: tuple[float, float], offset: tuple[int, int], **how) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    panel.annotate(text, at, xytext=offset, textcoords="offset points", bbox=box, **how)
