"""The phase diagram of one sweep, and two sweeps next to each other."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from .._check import bad
from ..regimes import classify
from ..results.axes import cell_edges, in_order, same_values
from .figure import Diagram
from .lines import Lines
from .marks import Marks
from .panel import decorate, draw_late_loss, draw_legend, draw_regimes
from .plane import plane
from .safe import draw_safe
from .style import SAME_COLOUR
from .titles import headline, settings, title, wrap


def phase_diagram(
    dataset: xr.Dataset,
    *,
    x: str | None = None,
    y: str | None = None,
    late_loss: bool = False,
    marks: Marks | None = None,
    lines: Lines | None = None,
    beta: bool = False,
    safe: str | None = None,
) -> Figure:
    """Draw the regime of every cell of a sweep over two axes.

    **Arguments:**

    - `dataset`: what `phasejax.sweep` returned, or `phasejax.open_dataset` opened. If it has more
        than two axes, select one value of each further axis first: `dataset.sel(seed=0)`.
    - `x`, `y`: the horizontal and the vertical axis; by default the first and the second.
    - `late_loss`: also draw the late mean of log10 of the loss, in a second panel.
    - `marks`: cells to mark, by their values on both axes: `[{"a": 1, "b": 100}]`; `()` for none.
        The default is the paper's three cells if the sweep is the paper's: `phasejax.adam` with a
        learning rate of 1e-3 on `problems.digits` or `problems.cifar10`.
    - `lines`: lines to draw, as formulas, `["b = 12 a", "a = 3"]`, or as functions of the
        values on the horizontal axis, by name: `{"b = 12 a": lambda a: 12 * a}`. For phasejax's
        own dynamics the line a = b is always drawn, and so is the border that `phasejax.theory`
        predicts for a built-in problem; over δ and γ it is β₁ = β₂.
    - `beta`: show the axes `delta` and `gamma` as the decays β₁ = 1 − δ and β₂ = 1 − γ, which rise
        rightwards and upwards, instead of δ and γ.
    - `safe`: an axis of the plane, along which the border of the part without spikes and
        divergence is drawn as a thick line, as `phasejax.safe_region` finds it.

    Returns a `matplotlib.figure.Figure`; `figure.savefig("name.pdf")` writes PNG, SVG or PDF, and a
    notebook shows it.
    """
    x, y = plane(dataset, x, y)
    dataset = in_order(dataset, x, y)
    figure = Diagram(figsize=(11.5 if late_loss else 6.4, 5.6), layout="constrained")
    panels = figure.subplots(1, 2 if late_loss else 1, squeeze=False)[0]
    draw_regimes(panels[0], dataset, x, y)
    if safe is not None:
        for panel in panels:
            draw_safe(panel, dataset, x, y, safe)
    draw_legend(panels[0], dataset)
    if late_loss:
        draw_late_loss(figure, panels[1], dataset, x, y)
    for panel in panels:
        decorate(panel, dataset, x, y, marks, lines, beta)
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
    beta: bool = False,
) -> Figure:
    """Draw two sweeps over the same cells next to each other, and the cells in which they differ.

    **Arguments:**

    - `one`, `other`: sweeps with the same axes, such as a flow and its optimizer. If `one` is a
        flow and `other` is not, `other` is labelled again with the flow's `loss_floor`.
    - `x`, `y`, `marks`, `lines`, `beta`: as in `phase_diagram`, for all panels.

    Returns a `matplotlib.figure.Figure` of three panels, each with a legend that counts its cells.
    In the third panel, cells with the same regime in both sweeps are grey; the others have the
    colour of their regime in `other`. Raises a `ValueError` if the cells are not the same.
    """
    x, y = plane(one, x, y)
    one, other = in_order(one, x, y), in_order(other, x, y)
    for name in (x, y):
        if name not in other.dims or not same_values(one[name], other[name]):
            raise bad("other", name, f"an axis with the same values as in {one.attrs['title']}")
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
        decorate(panel, dataset, x, y, marks, lines, beta)
    return figure


def _draw_difference(panel: Axes, one: xr.Dataset, other: xr.Dataset, x: str, y: str) -> None:
    """Draw the regimes of `other` where they differ from those of `one`; other cells are grey."""
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
