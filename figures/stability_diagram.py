"""Regimes and periods of Adam over 1 − β₁ and 1 − β₂, with the lines of theory."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.typing import LineStyleType

from phasejax import theory
from phasejax.plot.panel import draw_regimes
from phasejax.plot.style import COLOURS, NO_VALUE
from phasejax.plot.ticks import log_ticks
from phasejax.regimes import NAMES
from phasejax.results.axes import cell_edges

from .recipes import found

TITLE = "The stability phase diagram of Adam"
CAPTION = """
Adam over δ = 1 − β₁ and γ = 1 − β₂, in 40 × 40 cells of 100,000 steps: the plane of arXiv
2609.18314. Left of each pair the regimes; right the period, which is the mean number of steps from
one upward crossing of the threshold of stability to the next by the curvature along the gradient
(`crossing_period` of the probe `predictor`, last half of the run; grey: fewer than three
crossings). On |x|ᵏ/k with ε = 0 and η = 0.001 Adam converges, or still descends where γ is small,
up to the derived border (solid; `phasejax.theory.power_decay_border`). The border seen is half a
cell from it for k = 4, and up to 0.45 cells for k = 6, where it is up to 1.02 cells from the line
of small steps. Between the solid and the dashed line, a fit of that article, are 154 of the 162
cells with a period for k = 4, and 139 of 145 for k = 6. The period goes from 2 steps at the upper
right to 17,000 at the lower left. On x²/2 (ε = 1e-8) δ and γ are the better coordinates: at
learning rates of 0.01, 0.001 and 0.0001 the same cells have a period or none in 96 % of the plane,
and in 99 % where γ > 0.001. Of these cells 318 of 329, 306 of 335 and 306 of 356 lie below the
wall (dash-dotted), a fit too. Further below, at the lower right, 112 to 124 cells have come to
zero. Regimes are those of a curve in 256 windows of 391 steps: short periods there are
oscillations.
"""


TITLES = {
    "power_4": "|x|⁴/4, ε = 0",
    "power_6": "|x|⁶/6, ε = 0",
    "quadratic_1e-2": "x²/2, η = 0.01",
    "quadratic_1e-3": "x²/2, η = 0.001",
    "quadratic_1e-4": "x²/2, η = 0.0001",
}
"""Titles of the planes of toys of sweeps/stability.py, which take a minute each on two cores."""
STYLES: dict[str, LineStyleType] = {
    r"$\beta_2 = \beta_1^{2(k-2)/k}$  (derived)": "solid",
    r"$\gamma = \frac{12(k-2)}{3k-4}\,\delta$  (empirical)": "dashed",
    r"$\gamma = 15.6\,\delta^{3.07}$  (empirical)": "dashdot",
}
"""Strokes of the lines of theory by their names in the legend."""
PERIODS = LogNorm(2, 1e4)
"""Scale of the periods in steps."""
PAIRS = 2
"""Planes in a row; each has a panel of regimes and one of periods."""


def compute() -> dict[str, xr.Dataset]:
    """Load the planes, or run them."""
    return {name: found(f"stability/{name}.zarr", "stability.py", name) for name in TITLES}


def lines_of(dataset: xr.Dataset, delta: np.ndarray) -> dict[str, np.ndarray]:
    """Return γ on the lines that belong to a problem, by their names in the legend."""
    exact, upper, wall = STYLES
    if dataset.attrs["problem"] == "power":
        k = dataset.attrs["problem_arguments"]["k"]
        return {
            exact: np.asarray(theory.power_decay_border(delta, k)),
            upper: np.asarray(theory.power_spike_line(delta, k)),
        }
    return {wall: np.asarray(theory.quadratic_wall(delta))}


def draw(planes: Mapping[str, xr.Dataset]) -> Figure:
    """Draw two panels for each plane, and what they mean in the last place."""
    rows = len(planes) // PAIRS + 1
    figure = Figure(figsize=(11.5, 2.9 * rows))
    places = figure.subplots(rows, 2 * PAIRS, squeeze=False)
    pairs = places.reshape(-1, 2)
    for (regimes, periods), (name, dataset) in zip(pairs, planes.items(), strict=False):
        draw_regimes(regimes, dataset, "delta", "gamma")
        regimes.set_title(TITLES[name])
        _draw_periods(periods, dataset)
        periods.set_title("period")
        for panel in (regimes, periods):
            _draw_lines(panel, dataset)
            _scale(panel, dataset)
        periods.set_ylabel("")
        periods.tick_params(labelleft=False)
    for panel in pairs[len(planes) :].flat:
        panel.set_axis_off()
    _draw_key(figure, pairs[-1], planes)
    return figure


def _draw_periods(panel: Axes, dataset: xr.Dataset) -> None:
    """Draw the steps between crossings; grey where there are fewer than three."""
    panel.set_facecolor(NO_VALUE)
    values = dataset["crossing_period"].transpose("gamma", "delta").values
    edges = cell_edges(dataset, "delta"), cell_edges(dataset, "gamma")
    panel.pcolormesh(*edges, values, cmap="viridis", norm=PERIODS)


def _draw_lines(panel: Axes, dataset: xr.Dataset) -> None:
    """Draw the lines of theory inside the plane, in black on white."""
    ends = [cell_edges(dataset, name)[[0, -1]] for name in ("delta", "gamma")]
    delta = np.geomspace(ends[0][0], min(ends[0][1], 1), 257)
    for name, gamma in lines_of(dataset, delta).items():
        inside = (gamma >= ends[1][0]) & (gamma <= ends[1][1])
        points = delta[inside], gamma[inside]
        panel.plot(*points, color="white", linewidth=2.6)
        panel.plot(*points, color="black", linewidth=1.2, linestyle=STYLES[name], label=name)


def _scale(panel: Axes, dataset: xr.Dataset) -> None:
    """Scale and label the axes; ticks at powers of ten."""
    for axis, name, letter, number in (
        (panel.xaxis, "delta", "δ", "₁"),
        (panel.yaxis, "gamma", "γ", "₂"),
    ):
        (panel.set_xscale if axis is panel.xaxis else panel.set_yscale)("log")
        log_ticks(axis, decades=5)
        axis.set_label_text(f"{letter} = 1 − β{number}")
        ends = cell_edges(dataset, name)[[0, -1]]
        (panel.set_xlim if axis is panel.xaxis else panel.set_ylim)(*ends)


def _draw_key(figure: Figure, places: np.ndarray, planes: Mapping[str, xr.Dataset]) -> None:
    """Explain colours and lines in the last two places."""
    codes = np.unique(np.concatenate([x["regime"].values.ravel() for x in planes.values()]))
    shown = [NAMES[code] for code in codes if code >= 0]
    patches = [Patch(color=COLOURS[name], label=name) for name in shown]
    patches.append(Patch(color=NO_VALUE, label="no period"))
    names = {name for dataset in planes.values() for name in lines_of(dataset, np.ones(1) / 2)}
    strokes = [
        Line2D([], [], color="black", linewidth=1.2, linestyle=style, label=name)
        for name, style in STYLES.items()
        if name in names
    ]
    left, right = places
    how = {"bbox_transform": left.transAxes, "borderaxespad": 0}
    figure.legend(handles=patches, loc="upper left", bbox_to_anchor=(0, 1), ncols=2, **how)
    below = {"loc": "lower left", "bbox_to_anchor": (0, 0), "handlelength": 3.2}
    figure.legend(handles=strokes, **below, **how)
    bar = right.inset_axes((0.35, 0.88, 0.65, 0.06))
    scale = ScalarMappable(PERIODS, "viridis")
    figure.colorbar(scale, cax=bar, orientation="horizontal", extend="both", label="period (steps)")
