"""Phase diagrams as matplotlib figures."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ._check import bad, choice
from .info import length
from .regimes import NAMES, UNLABELLED, UNRESOLVED, classify, regime_counts

# Hues from Okabe and Ito's palette, with the lightness of each set apart, so that the regimes
# differ for every kind of colour vision and in print without colour.
COLOURS = {
    "unlabelled": "#bdbdbd",
    "spike": "#D55E00",
    "oscillation": "#56B4E9",
    "divergence": "#2B1148",
    "converged": "#00664B",
    "descending": "#F7EBA5",
    "unresolved": "#ffffff",
}
HATCH = "////"
"""Over cells whose solver gave up."""
SYMBOLS = {
    "a": r"$a$   (v-decay $\alpha = 1 - a\eta$)",
    "b": r"$b$   (m-decay $\beta = 1 - b\eta$)",
    "learning_rate": r"learning rate $\eta$",
    "eps": r"$\epsilon$ outside the root",
    "eps_root": r"$\epsilon$ inside the root",
    "b1": r"m-decay $\beta_1$",
    "b2": r"v-decay $\beta_2$",
    "weight_decay": "weight decay",
}
FLOW_SYMBOLS = {
    "a": r"$a$   (rate of $v$)",
    "b": r"$b$   (rate of $m$)",
}
"""Of a flow, which has rates and no decays."""
TITLE = {
    "a": "a = {:g}",
    "b": "b = {:g}",
    "learning_rate": "η = {:.4g}",
    "eps": "ε = {:g} outside the root",
    "eps_root": "ε = {:g} inside the root",
}
PAPER_CELLS = ({"a": 1.0, "b": 100.0}, {"a": 10.0, "b": 10.0}, {"a": 100.0, "b": 1.0})
"""Ma, Wu and E (2021): the cells they show for spikes, small oscillations and divergence."""


def phase_diagram(
    dataset: xr.Dataset,
    *,
    x: str | None = None,
    y: str | None = None,
    late_loss: bool = False,
    marks: Sequence[Mapping[str, float]] = PAPER_CELLS,
) -> Figure:
    """Draw the regime of every cell of a sweep over two axes.

    **Arguments:**

    - `dataset`: what `phasejax.sweep` returned, or `phasejax.open_dataset` opened. Of more than
        two axes, select one value each first: `dataset.sel(seed=0)`.
    - `x`, `y`: which axis is horizontal and which vertical; by default the first and the second.
    - `late_loss`: draw the late mean of log10 of the loss beside it.
    - `marks`: cells to mark, where both axes have them in range; by default the paper's three.

    Returns a `matplotlib.figure.Figure`; `figure.savefig("name.pdf")` writes PNG, SVG or PDF.
    """
    x, y = _plane(dataset, x, y)
    figure = Figure(figsize=(11.5 if late_loss else 6.4, 5.6), layout="constrained")
    panels = figure.subplots(1, 2 if late_loss else 1, squeeze=False)[0]
    _draw_regimes(panels[0], dataset, x, y)
    if late_loss:
        _draw_late_loss(figure, panels[1], dataset, x, y)
    for panel in panels:
        _decorate(panel, dataset, x, y, marks)
    figure.suptitle(_title(dataset), fontsize=10)
    return figure


def comparison(
    one: xr.Dataset, other: xr.Dataset, *, x: str | None = None, y: str | None = None
) -> Figure:
    """Draw two sweeps over the same cells side by side, and where their regimes differ.

    **Arguments:**

    - `one`, `other`: sweeps with the same axes, such as a flow and its optimizer, which is then
        labelled without what lies below the flow's `loss_floor`.
    - `x`, `y`: as in `phase_diagram`.

    Returns a `matplotlib.figure.Figure` of three panels; in the third, cells of one regime are grey
    and others have the colour of `other`. Raises a `ValueError` if the cells are not the same.
    """
    x, y = _plane(one, x, y)
    for name in (x, y):
        if name not in other.dims or not np.allclose(one[name], other[name], rtol=1e-9):
            raise bad("other", name, f"an axis with the same values as of {one.attrs['title']}")
    if "loss_floor" in one and "loss_floor" not in other:
        other = classify(other, one["loss_floor"].assign_coords({n: other[n] for n in (x, y)}))
    figure = Figure(figsize=(16.5, 5.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for panel, dataset in ((left, one), (middle, other)):
        _draw_regimes(panel, dataset, x, y)
        panel.set_title("\n".join(_title(dataset).split(": ", 1)), fontsize=10)
    regimes = [dataset["regime"].transpose(y, x).values for dataset in (one, other)]
    differ = regimes[0] != regimes[1]
    edges = _edges(other, x), _edges(other, y)
    right.pcolormesh(*edges, np.zeros(differ.shape), cmap=ListedColormap(["#e4e4e4"]))
    _draw_regimes(right, other.where(xr.DataArray(differ, dims=(y, x))), x, y)
    right.set_title(
        f"where they differ: {differ.sum()} of {differ.size} cells,\n"
        f"in the colours of {other.attrs['title']}",
        fontsize=10,
    )
    for panel, dataset in ((left, one), (middle, other), (right, other)):
        _decorate(panel, dataset, x, y, PAPER_CELLS)
    return figure


def _plane(dataset: xr.Dataset, x: str | None, y: str | None) -> tuple[str, str]:
    """Choose the two axes, or say why they can't be."""
    axes = [str(name) for name in dataset["regime"].dims]
    if len(axes) != 2:
        hint = "select one value of the others, as in dataset.sel(seed=0)" if axes[2:] else ""
        raise bad("dataset axes", axes, f"two; {hint}".rstrip("; "))
    for name, value in (("x", x), ("y", y)):
        if value is not None:
            choice(name, value, axes)
    x = x or next(axis for axis in axes if axis != y)
    y = y or next(axis for axis in axes if axis != x)
    if x == y:
        raise bad("y", y, f"another axis than x = {x!r}")
    return x, y


def _draw_regimes(panel: Axes, dataset: xr.Dataset, x: str, y: str) -> None:
    names = {UNLABELLED: "unlabelled", **dict(enumerate(NAMES)), UNRESOLVED: "unresolved"}
    edges, codes = (
        (_edges(dataset, x), _edges(dataset, y)),
        dataset["regime"].transpose(y, x).values,
    )
    panel.pcolormesh(
        *edges,
        codes,
        cmap=ListedColormap([COLOURS[name] for name in names.values()]),
        norm=BoundaryNorm([code - 0.5 for code in (*names, UNRESOLVED + 1)], len(names)),
        rasterized=dataset["regime"].size > 10_000,
    )
    panel.pcolor(
        *edges,
        np.ma.masked_where(codes != UNRESOLVED, codes),
        cmap=ListedColormap([COLOURS["unresolved"]]),
        hatch=HATCH,
        edgecolor="0.3",
        linewidth=0,
    )
    counts = {name: count for name, count in regime_counts(dataset).items() if count}
    panel.legend(
        handles=[
            Patch(
                facecolor=COLOURS[name],
                edgecolor="0.3",
                linewidth=0.5,
                hatch=HATCH if name == "unresolved" else None,
                label=f"{name}  {count}",
            )
            for name, count in counts.items()
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=3,
        frameon=False,
    )


def _draw_late_loss(figure: Figure, panel: Axes, dataset: xr.Dataset, x: str, y: str) -> None:
    level = dataset["late_level"].transpose(y, x).values
    top = float(np.log10(dataset["initial_loss"].max())) + 1
    known = level[np.isfinite(level)]
    bottom = max(float(np.quantile(known, 0.02)), top - 40) if known.size else top - 1
    mesh = panel.pcolormesh(
        _edges(dataset, x),
        _edges(dataset, y),
        level,
        cmap="viridis",
        vmin=min(bottom, top - 1),
        vmax=top,
        rasterized=level.size > 10_000,
    )
    figure.colorbar(mesh, ax=panel, extend="both", label=r"late mean of $\log_{10}$ loss (decades)")


def _decorate(
    panel: Axes, dataset: xr.Dataset, x: str, y: str, marks: Sequence[Mapping[str, float]]
) -> None:
    symbols = SYMBOLS | (FLOW_SYMBOLS if "time" in dataset.attrs else {})
    _scale(panel, panel.xaxis, dataset[x], symbols)
    _scale(panel, panel.yaxis, dataset[y], symbols)
    panel.set_xlim(*_edges(dataset, x)[[0, -1]])
    panel.set_ylim(*_edges(dataset, y)[[0, -1]])
    if {x, y} == {"a", "b"}:
        _draw_diagonal(panel)
    (left, right), (bottom, top) = panel.get_xlim(), panel.get_ylim()
    for mark in marks:
        if mark.keys() == {x, y} and left <= mark[x] <= right and bottom <= mark[y] <= top:
            text = f"({', '.join(f'{value:g}' for value in mark.values())})"
            panel.plot(mark[x], mark[y], "o", ms=7, mfc="white", mec="black")
            _label(panel, text, (mark[x], mark[y]), offset=(0, 7), ha="center", fontsize=9)


def _scale(
    panel: Axes, axis: XAxis | YAxis, values: xr.DataArray, symbols: Mapping[str, str]
) -> None:
    """Label one axis; a logarithmic one gets ticks at 1, 3, 10, 30, ... in plain numbers."""
    name = str(values.name)
    axis.set_label_text(symbols.get(name, name.replace("_", " ")))
    if values.attrs.get("scale") != "log":
        return
    (panel.set_xscale if isinstance(axis, XAxis) else panel.set_yscale)("log")
    decades = np.log10(float(values.max() / values.min()))
    axis.set_major_locator(LogLocator(subs=(1, 3) if decades < 5 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_diagonal(panel: Axes) -> None:
    low = max(panel.get_xlim()[0], panel.get_ylim()[0])
    high = min(panel.get_xlim()[1], panel.get_ylim()[1])
    panel.plot([low, high], [low, high], color="white", linewidth=2.4)
    panel.plot([low, high], [low, high], color="black", linewidth=1, linestyle="--")
    _label(panel, "$a = b$", (high, high), offset=(-8, -14), ha="right", va="top")


def _label(panel: Axes, text: str, at: tuple[float, float], offset: tuple[int, int], **how) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    panel.annotate(text, at, xytext=offset, textcoords="offset points", bbox=box, **how)


def _edges(dataset: xr.Dataset, axis: str) -> Float[np.ndarray, " edges"]:
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


def _title(dataset: xr.Dataset) -> str:
    attrs = dataset.attrs
    fixed = [
        TITLE[name].format(value)
        for name, value in attrs["fixed"].items()
        if name in TITLE and value is not None and not (name.startswith("eps") and value == 0)
    ]
    settings = ", ".join([*fixed, length(attrs), attrs["dtype"]])
    return f"{attrs['optimizer']} on {attrs['problem']}: {settings}"
