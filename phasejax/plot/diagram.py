"""The phase diagram of one sweep, and of two side by side."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from .._check import bad, choice
from ..regimes import classify
from ..results.axes import cell_edges, in_order, same_values
from .figure import Diagram
from .lines import Lines
from .marks import Marks
from .panel import SAME_COLOUR, decorate, draw_legend, draw_regimes
from .titles import headline, settings, title, wrap


def phase_diagram(
    dataset: xr.Dataset,
    *,
    x: str | None = None,
    y: str | None = None,
    late_loss: bool = False,
    marks: Marks | None = None,
    lines: Lines | None = None,
) -> Figure:
    """Draw the regime of every cell of a sweep over two axes.

    **Arguments:**

    - `dataset`: what `phasejax.sweep` returned, or `phasejax.open_dataset` opened. Of more than
        two axes, select one value each first: `dataset.sel(seed=0)`.
    - `x`, `y`: which axis is horizontal and which vertical; by default the first and the second.
    - `late_loss`: draw the late mean of log10 of the loss beside it.
    - `marks`: cells to mark, where they lie on the plane: `[{"a": 1, "b": 100}]`; `()` for none.
        By default the paper's three, if the sweep is the paper's: `phasejax.adam` with a learning
        rate of 1e-3 on `problems.digits` or `problems.cifar10`.
    - `lines`: lines to draw, as formulas, `["b = 12 a", "a = 3"]`, or as functions of the
        horizontal axis's values, by name: `{"b = 12 a": lambda a: 12 * a}`. For phasejax's own
        dynamics a = b is drawn anyway, and the border that `phasejax.theory` knows for a built-in
        problem.

    Returns a `matplotlib.figure.Figure`; `figure.savefig("name.pdf")` writes PNG, SVG or PDF, and a
    notebook shows it.
    """
    x, y = plane(dataset, x, y)
    dataset = in_order(dataset, x, y)
    figure = Diagram(figsize=(11.5 if late_loss else 6.4, 5.6), layout="constrained")
    panels = figure.subplots(1, 2 if late_loss else 1, squeeze=False)[0]
    draw_regimes(panels[0], dataset, x, y)
    draw_legend(panels[0], dataset)
    if late_loss:
        draw_late_loss(figure, panels[1], dataset, x, y)
    for panel in panels:
        decorate(panel, dataset, x, y, marks, lines)
    figure.suptitle(title(dataset, figure.get_figwidth()), fontsize=10)
    return figure


def comparison(
    one: xr.Dataset,
    other: xr.Dataset,
    *,
    x: str | None = None,
    y: str | None = None,
    marks: Marks | None = None,
    lines: Lines | None = None,
) -> Figure:
    """Draw two sweeps over the same cells side by side, and where their regimes differ.

    **Arguments:**

    - `one`, `other`: sweeps with the same axes, such as a flow and its optimizer, which is then
        labelled without what lies below the flow's `loss_floor`.
    - `x`, `y`, `marks`, `lines`: as in `phase_diagram`, for all panels.

    Returns a `matplotlib.figure.Figure` of three panels, each with a legend that counts its cells;
    in the third, cells of one regime are grey and others have the colour of `other`. Raises a
    `ValueError` if the cells are not the same.
    """
    x, y = plane(one, x, y)
    one, other = in_order(one, x, y), in_order(other, x, y)
    for name in (x, y):
        if name not in other.dims or not same_values(one[name], other[name]):
            raise bad("other", name, f"an axis with the same values as of {one.attrs['title']}")
    if "loss_floor" in one and "loss_floor" not in other:
        other = classify(other, one["loss_floor"].assign_coords({n: other[n] for n in (x, y)}))
    figure = Diagram(figsize=(16.5, 5.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for panel, dataset in ((left, one), (middle, other)):
        draw_regimes(panel, dataset, x, y)
        draw_legend(panel, dataset)
        inches = figure.get_figwidth() / 3 - 0.4
        panel.set_title(f"{headline(dataset)}\n{wrap(settings(dataset), inches)}", fontsize=10)
    _draw_difference(right, one, other, x, y)
    for panel, dataset in ((left, one), (middle, other), (right, other)):
        decorate(panel, dataset, x, y, marks, lines)
    return figure


def _draw_difference(panel: Axes, one: xr.Dataset, other: xr.Dataset, x: str, y: str) -> None:
    """Draw the regimes of `other` where `one` has another; grey where both have the same."""
    regimes = [dataset["regime"].transpose(y, x).values for dataset in (one, other)]
    differ = regimes[0] != regimes[1]
    edges = cell_edges(other, x), cell_edges(other, y)
    panel.pcolormesh(*edges, np.zeros(differ.shape), cmap=ListedColormap([SAME_COLOUR]))
    differing = other.where(xr.DataArray(differ, dims=(y, x)))
    draw_regimes(panel, differing, x, y)
    draw_legend(panel, differing, same=int(np.sum(~differ)))
    panel.set_title(
        f"where they differ: {differ.sum()} of {differ.size} cells,\n"
        f"in the colours of {headline(other)}",
        fontsize=10,
    )


def plane(dataset: xr.Dataset, x: str | None, y: str | None) -> tuple[str, str]:
    """Choose the two axes, or say why they can't be."""
    axes = [str(name) for name in dataset["regime"].dims]
    if len(axes) != 2:
        hint = "select one value of the others: dataset.sel(seed=0), --at seed=0"
        hint = hint if axes[2:] else ""
        raise bad("dataset axes", axes, f"two; {hint}".rstrip("; "))
    for name, value in (("x", x), ("y", y)):
        if value is not None:
            choice(name, value, axes)
    x = x or next(axis for axis in axes if axis != y)
    y = y or next(axis for axis in axes if axis != x)
    if x == y:
        raise bad("y", y, f"another axis than x = {x!r}")
    return x, y


def draw_late_loss(figure: Figure, panel: Axes, dataset: xr.Dataset, x: str, y: str) -> None:
    """Draw the late mean of log10 of the loss, with its scale; grey where there is no curve."""
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
        rasterized=level.size > 10_000,
    )
    loss = f"(loss − ({minimum:g}))" if minimum else "loss"
    label = rf"late mean of $\log_{{10}}$ {loss} (decades)"
    figure.colorbar(mesh, ax=panel, extend="both", label=label)
