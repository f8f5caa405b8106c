"""Figures of several panels over one plane: slices of a third axis, and probabilities."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from .._check import bad, choice, swept
from ..regimes import NAMES
from ..regimes.probabilities import regime_probabilities
from ..results.axes import cell_edges, in_order
from .figure import Diagram
from .lines import Lines
from .marks import Marks
from .panel import decorate, draw_regimes, legend_of
from .plane import plane
from .titles import setting, title, wrap

MOST = 24
"""Most panels of a figure: more cannot be told apart."""
COLUMNS = 4
"""Most panels in a row."""
PANEL_WIDTH = 3.9
"""Width of a panel in inches."""
LEGEND_COLUMN = 1.7
"""Width of an entry of the common legend in inches."""


def small_multiples(
    dataset: xr.Dataset,
    over: str,
    *,
    x: str | None = None,
    y: str | None = None,
    marks: Marks | None = None,
    lines: Lines | None = None,
    beta: bool = False,
) -> Figure:
    """Draw the regimes of a plane for every value of a third axis.

    **Arguments:**

    - `dataset`: a sweep over three axes, such as a, b and the learning rate.
    - `over`: the third axis, of at most 24 values; each value has its own panel.
    - `x`, `y`, `marks`, `lines`, `beta`: as in `phasejax.phase_diagram`, for all panels.

    Returns a `matplotlib.figure.Figure`. The legend counts the cells of all panels.
    """
    swept(dataset, "regime")
    choice("over", over, [str(name) for name in dataset["regime"].dims])
    if dataset.sizes[over] > MOST:
        raise bad("over", over, f"an axis of at most {MOST} values; it has {dataset.sizes[over]}")
    x, y = plane(dataset.isel({over: 0}), x, y)
    dataset = in_order(dataset, x, y)
    slices = [dataset.isel({over: i}) for i in range(dataset.sizes[over])]
    figure, panels = _panels(len(slices))
    for panel, one in zip(panels, slices, strict=True):
        draw_regimes(panel, one, x, y)
        decorate(panel, one, x, y, marks, lines, beta)
        panel.set_title(wrap([setting(dataset, over, one[over].item())], PANEL_WIDTH), fontsize=10)
    _label_outside(panels)
    columns = max(int(figure.get_figwidth() / LEGEND_COLUMN), 1)
    where = "outside lower center"
    figure.legend(**legend_of(dataset), loc=where, ncols=columns, frameon=False)
    figure.suptitle(title(dataset, figure.get_figwidth()), fontsize=10)
    return figure


def probability_diagram(
    dataset: xr.Dataset,
    over: str = "seed",
    *,
    x: str | None = None,
    y: str | None = None,
    marks: Marks | None = None,
    lines: Lines | None = None,
    beta: bool = False,
) -> Figure:
    """Draw the probability of each regime, and the entropy of the regime, over a plane.

    **Arguments:**

    - `dataset`: a sweep over a plane and seeds; see `phasejax.regime_probabilities` for formulas.
    - `over`: the axis whose values are the runs of a cell, by default `seed`.
    - `x`, `y`, `marks`, `lines`, `beta`: as in `phasejax.phase_diagram`, for all panels.

    Returns a `matplotlib.figure.Figure`: a panel for every regime that occurs, then the entropy.
    """
    swept(dataset, "regime")
    choice("over", over, [str(name) for name in dataset["regime"].dims])
    x, y = plane(dataset.isel({over: 0}), x, y)
    dataset = in_order(dataset, x, y)
    plane_of = dataset.isel({over: 0}, drop=True)
    chances = regime_probabilities(dataset, over)
    shown = [name for name in NAMES if (chances["probability"].sel(label=name) > 0).any()]
    figure, panels = _panels(len(shown) + 1)
    edges = cell_edges(dataset, x), cell_edges(dataset, y)

    def draw(panel: Axes, values: xr.DataArray, most: float, colours: str, label: str) -> None:
        array = values.transpose(y, x).values
        mesh = panel.pcolormesh(*edges, array, cmap=colours, vmin=0, vmax=most)
        figure.colorbar(mesh, ax=panel, label=label, fraction=0.05)
        decorate(panel, plane_of, x, y, marks, lines, beta)

    *of_regimes, last = panels
    for panel, name in zip(of_regimes, shown, strict=True):
        share = chances["probability"].sel(label=name)
        draw(panel, share, 1, "cividis", f"share of {dataset.sizes[over]} runs")
        panel.set_title(f"{name}: {float(share.mean()):.0%} of all runs")
    most = max(float(chances["entropy"].max()), 1e-9)
    draw(last, chances["entropy"], most, "magma", "bits")
    last.set_title("entropy of the regime")
    _label_outside(panels)
    runs = f"{dataset.sizes[over]} values of {over.replace('_', ' ')}"
    figure.suptitle(title(dataset, figure.get_figwidth(), runs), fontsize=10)
    return figure


def _columns(count: int) -> int:
    """Number of panels in a row: three if rows of four would leave the last row nearly empty."""
    return 3 if count in (3, 5, 6, 9) else min(count, COLUMNS)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure and its `count` panels; unused places of the last row stay empty."""
    columns = _columns(count)
    rows = -(-count // columns)
    apart = ConstrainedLayoutEngine(w_pad=0.1)  # inches between a colour bar and the next panel
    figure = Diagram(figsize=(PANEL_WIDTH * columns + 0.8, 3.6 * rows + 0.8), layout=apart)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in places[count:]:
        place.remove()
    return figure, places[:count]


def _label_outside(panels: list[Axes]) -> None:
    """Label only the leftmost vertical axis of a row and the lowest horizontal axis of a column."""
    columns = _columns(len(panels))
    for i, panel in enumerate(panels):
        if i % columns:
            panel.set_ylabel("")
            panel.tick_params(labelleft=False)
        if i + columns < len(panels):
            panel.set_xlabel("")
            panel.tick_params(labelbottom=False)
