"""One panel of a figure: the regimes of a plane, its axes, and marks on it."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from ..regimes import NAMES, UNLABELLED, UNRESOLVED, regime_counts
from ..regimes.codes import INFERRED
from ..results.axes import cell_edges, is_category, is_log, names_of
from .lines import Line, Lines, Name, lines_over, name_places
from .marks import Marks, marks_on
from .style import COLOURS, HATCH, STROKES
from .titles import axis_name, printable

SAME_COLOUR = "#e4e4e4"
"""Of cells that have one regime in both of two sweeps."""
INFERRED_SHADE = 0.35
"""How far cells that were inferred, and not computed, are on their way to white."""


def draw_regimes(panel: Axes, dataset: xr.Dataset, x: str, y: str) -> None:
    """Draw the regime of every cell; inferred ones paler, those without an answer hatched."""
    names = {UNLABELLED: "unlabelled", **dict(enumerate(NAMES)), UNRESOLVED: "unresolved"}
    edges = cell_edges(dataset, x), cell_edges(dataset, y)
    codes = dataset["regime"].transpose(y, x).values
    many = codes.size > 10_000
    panel.pcolormesh(
        *edges,
        codes,
        cmap=ListedColormap([COLOURS[name] for name in names.values()]),
        norm=BoundaryNorm([code - 0.5 for code in (*names, UNRESOLVED + 1)], len(names)),
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


def inferred_cells(dataset: xr.Dataset, x: str, y: str) -> Bool[np.ndarray, "y x"]:
    """Say which cells a refined sweep has inferred."""
    if "status" not in dataset:
        return np.zeros((dataset.sizes[y], dataset.sizes[x]), bool)
    return (dataset["status"] == INFERRED).transpose(y, x).values


def legend_of(dataset: xr.Dataset, same: int | None = None) -> dict[str, Any]:
    """What a legend shows: the regimes that occur, with the number of their cells.

    Of a refined sweep also what the pale colours are; `same` is the number of cells that are grey
    because two sweeps agree there.
    """
    counts = {name: count for name, count in regime_counts(dataset).items() if count}
    entries: dict[str, Patch | tuple[Patch, ...]] = {}
    if same is not None:
        entries[f"the same  {same}"] = _patch(SAME_COLOUR)
    for name, count in counts.items():
        hatch = HATCH if name == "unresolved" else None
        entries[f"{name}  {count}"] = _patch(COLOURS[name], hatch)
    codes = dataset["regime"].values
    inferred = (dataset["status"] == INFERRED).values if "status" in dataset else np.zeros(1, bool)
    if same is None and inferred.any():
        pale = [COLOURS[NAMES[code]] for code in np.unique(codes[inferred]) if code in range(5)]
        entries[f"pale: inferred  {inferred.sum()}"] = tuple(_patch(paler(c)) for c in pale)
    return {
        "handles": list(entries.values()),
        "labels": list(entries),
        "handler_map": {tuple: HandlerTuple(ndivide=None, pad=0)},
    }


def paler(colour: str) -> tuple[float, ...]:
    """Return a colour as inferred cells have it."""
    return tuple(v + INFERRED_SHADE * (1 - v) for v in to_rgb(colour))


def _patch(colour: Any, hatch: str | None = None) -> Patch:
    return Patch(facecolor=colour, edgecolor="0.3", linewidth=0.5, hatch=hatch)


def draw_legend(
    panel: Axes, dataset: xr.Dataset, columns: int = 3, same: int | None = None
) -> None:
    """Put the legend of one panel under it."""
    panel.legend(
        **legend_of(dataset, same),
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
) -> None:
    """Scale and label the axes; draw the lines that are known or given, and marks inside."""
    for axis, name in ((panel.xaxis, x), (panel.yaxis, y)):
        axis.set_label_text(axis_name(dataset, name))
        _scale(panel, axis, dataset[name])
    panel.set_xlim(*cell_edges(dataset, x)[[0, -1]])
    panel.set_ylim(*cell_edges(dataset, y)[[0, -1]])
    over, marked = lines_over(dataset, x, y, lines), marks_on(dataset, x, y, marks)
    for number, (line, name) in enumerate(
        zip(over, name_places(dataset, x, y, over, marked), strict=True)
    ):
        draw_line(panel, line, name, STROKES[number % len(STROKES)])
    for mark in marked:
        panel.plot(mark.x, mark.y, "o", ms=7, mfc="white", mec="black")
        _label(panel, mark.text, (mark.x, mark.y), offset=(0, 7), ha="center", fontsize=9)


def _scale(panel: Axes, axis: XAxis | YAxis, values: xr.DataArray) -> None:
    """Space one axis: plain numbers at 1, 3, 10, 30, ... on a logarithmic one, names on others."""
    if is_category(values):
        axis.set_major_locator(FixedLocator(list(range(values.size))))
        names = [printable(name) for name in names_of(values)]
        axis.set_major_formatter(FuncFormatter(lambda _, place: names[place or 0]))
        return
    if is_log(values):
        (panel.set_xscale if isinstance(axis, XAxis) else panel.set_yscale)("log")
        log_ticks(axis, np.log10(float(values.max() / values.min())))


def log_ticks(axis: XAxis | YAxis, decades: float) -> None:
    """Put ticks at 1, 3, 10, 30, ... in plain numbers, or at powers of ten alone."""
    axis.set_major_locator(LogLocator(subs=(1, 3) if decades < 5 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))


def plain_number(value: float) -> str:
    """Write a number without an `e`: 0.001 or 3·10⁻⁵."""
    mantissa, e, exponent = f"{value:g}".partition("e")
    if not e:
        return mantissa
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if mantissa == "1" else f"{mantissa}·{power}"


def draw_line(panel: Axes, line: Line, name: Name, stroke: str) -> None:
    """Draw a line in black on white, named beside one of its points."""
    panel.plot(line.x, line.y, color="white", linewidth=2.4)
    label = printable(line.name)
    panel.plot(line.x, line.y, color="black", linewidth=1.2, linestyle=stroke, label=label)
    offset = (-8 if name.left else 8, 8 if name.above else -8)
    across, up = "right" if name.left else "left", "bottom" if name.above else "top"
    _label(panel, label, (name.x, name.y), offset, ha=across, va=up, fontsize=9)


def _label(panel: Axes, text: str, at: tuple[float, float], offset: tuple[int, int], **how) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    panel.annotate(text, at, xytext=offset, textcoords="offset points", bbox=box, **how)
