"""One panel of a figure: the regimes of a plane, its axes, and marks on it."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ..info import length
from ..refine import COMPUTED, INFERRED
from ..regimes import NAMES, UNLABELLED, UNRESOLVED, regime_counts
from .lines import Line, Lines, lines_over
from .style import COLOURS, FLOW_SYMBOLS, HATCH, SYMBOLS, TITLE, plain

PAPER_CELLS = ({"a": 1.0, "b": 100.0}, {"a": 10.0, "b": 10.0}, {"a": 100.0, "b": 1.0})
"""Ma, Wu and E (2021): the cells they show for spikes, small oscillations and divergence."""


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


def legend_of(dataset: xr.Dataset) -> list[Patch]:
    """Legend entries: the regimes that occur, with the number of their cells."""
    counts = {name: count for name, count in regime_counts(dataset).items() if count}
    return [
        Patch(
            facecolor=COLOURS[name],
            edgecolor="0.3",
            linewidth=0.5,
            hatch=HATCH if name == "unresolved" else None,
            label=f"{name}  {count}",
        )
        for name, count in counts.items()
    ]


def draw_legend(panel: Axes, dataset: xr.Dataset, columns: int = 3) -> None:
    """Put the legend of one panel under it."""
    panel.legend(
        handles=legend_of(dataset),
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
    marks: Sequence[Mapping[str, float]] = (),
    lines: Lines | None = None,
) -> None:
    """Scale and label the axes; draw the lines that are known or given, and marks inside."""
    for axis, name in ((panel.xaxis, x), (panel.yaxis, y)):
        axis.set_label_text(plain(axis_name(dataset, name)))
        _scale(panel, axis, dataset[name])
    panel.set_xlim(*cell_edges(dataset, x)[[0, -1]])
    panel.set_ylim(*cell_edges(dataset, y)[[0, -1]])
    for line in lines_over(dataset, x, y, lines):
        draw_line(panel, line)
    (left, right), (bottom, top) = panel.get_xlim(), panel.get_ylim()
    for mark in marks:
        if mark.keys() == {x, y} and left <= mark[x] <= right and bottom <= mark[y] <= top:
            text = f"({', '.join(f'{value:g}' for value in mark.values())})"
            panel.plot(mark[x], mark[y], "o", ms=7, mfc="white", mec="black")
            _label(panel, text, (mark[x], mark[y]), offset=(0, 7), ha="center", fontsize=9)


def axis_name(dataset: xr.Dataset, name: str) -> str:
    """Name an axis as the field does, with what it stands for."""
    symbols = SYMBOLS | (FLOW_SYMBOLS if "time" in dataset.attrs else {})
    return symbols.get(name, name.replace("_", " "))


def _scale(panel: Axes, axis: XAxis | YAxis, values: xr.DataArray) -> None:
    """Space one axis; a logarithmic one gets ticks at 1, 3, 10, 30, ... in plain numbers."""
    if values.attrs.get("scale") != "log":
        return
    (panel.set_xscale if isinstance(axis, XAxis) else panel.set_yscale)("log")
    log_ticks(axis, np.log10(float(values.max() / values.min())))


def log_ticks(axis: XAxis | YAxis, decades: float) -> None:
    """Put ticks at 1, 3, 10, 30, ... in plain numbers, or at powers of ten alone."""
    axis.set_major_locator(LogLocator(subs=(1, 3) if decades < 5 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def draw_line(panel: Axes, line: Line) -> None:
    """Draw a line in black on white, named at its upper end."""
    panel.plot(line.x, line.y, color="white", linewidth=2.4)
    panel.plot(line.x, line.y, color="black", linewidth=1, linestyle="--", label=plain(line.name))
    end = float(line.x[-1]), float(line.y[-1])
    _label(panel, plain(line.name), end, offset=(-8, -14), ha="right", va="top", fontsize=9)


def _label(panel: Axes, text: str, at: tuple[float, float], offset: tuple[int, int], **how) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    panel.annotate(text, at, xytext=offset, textcoords="offset points", bbox=box, **how)


def cell_edges(dataset: xr.Dataset, axis: str) -> Float[np.ndarray, " edges"]:
    """Borders between the cells of an axis: halfway, in the logarithm on a logarithmic axis."""
    values = dataset[axis].values.astype(float)
    logarithmic = dataset[axis].attrs.get("scale") == "log"
    values = np.log(values) if logarithmic else values
    if len(values) == 1:
        edges = values[0] + np.array([-0.5, 0.5])
    else:
        middle = (values[1:] + values[:-1]) / 2
        edges = np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
    return np.exp(edges) if logarithmic else edges


def title(dataset: xr.Dataset) -> str:
    """What was run, in a line, and in another how much of it was computed, if not all was."""
    attrs = dataset.attrs
    fixed = [
        TITLE[name].format(value)
        for name, value in attrs["fixed"].items()
        if name in TITLE and value is not None and not (name.startswith("eps") and value == 0)
    ]
    drawn = attrs["problem_arguments"].get("batch_size")
    batches = [f"batches of {drawn}"] if drawn else []
    settings = ", ".join([*fixed, *batches, length(attrs), attrs["dtype"]])
    line = plain(f"{attrs['optimizer']} on {attrs['problem']}: {settings}")
    if "status" in dataset and (dataset["status"] == INFERRED).any():
        computed = int((dataset["status"] == COMPUTED).sum())
        cells = f"{computed:,} of {dataset['status'].size:,} cells computed"
        line += f"\n{cells}, the pale ones inferred"
    return line
