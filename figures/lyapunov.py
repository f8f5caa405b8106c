"""The largest Lyapunov exponent of Adam on a quadratic, over a and b."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import phasejax as pj
from phasejax import theory
from phasejax.plot.ticks import log_ticks
from phasejax.results.axes import cell_edges

from .plane import scale_plane

TITLE = "Where Adam is chaotic: the Lyapunov exponent"
CAPTION = """
Two runs of a cell that differ by rounding part as e^{λk} over k steps, where λ is the exponent of
the probe `lyapunov`. Left, λ of Adam on a quadratic (eigenvalues 1 and 0.1, η = 1/300, ε = 1e-8
inside the root, 20,000 steps). Below b = 34, where theory says that Adam can come to rest, λ < 0
unless a is large: a change is forgotten. Above is a wedge of chaos, λ > 0. On both sides of it, and
at large a, most cells have a λ within two errors of zero (grey), as of a quasi-periodic path. Of
the 1,600 cells, 422 are chaotic, 492 are within two errors of zero, and 686 have λ < 0. In the
uppermost row β is 0.1, and λ < 0 throughout; near the right edge, where α is near 0, cells of both
signs lie next to each other. Right, λ in the column a = 30 (triangle), with bars of two errors. At
rest the slowest memory forgets last, and λ is the larger of ln α and ½ ln β (line): the cells from
b = 4.2 to 34 lie on it within two errors. At b = 85, λ = 0.126 per step: there a change of 1e-16
becomes one of 1e-3 in 240 steps.
"""
SPECTRUM = (1.0, 0.1)
"""Eigenvalues of the quadratic."""
ETA = 1 / 300
"""Learning rate."""
EPS_ROOT = 1e-8
"""ε inside the root."""
LIMIT = 0.3
"""End of the colour scale, per step."""
LINEAR = 1e-3
"""Where the colour scale turns from logarithmic to linear, per step."""
CUT = 30.0
"""a of the cells on the right."""
ZERO = "#b0b0b0"
"""Colour of cells whose exponent is within two errors of zero."""
SIGNS = {1: "#B2182B", 0: ZERO, -1: "#2166AC"}
"""Colours of positive, zero and negative exponents."""
NAMES = {1: "chaotic: λ > 0", 0: "0 within two errors", -1: "λ < 0"}
"""Their names."""


def compute(count: int = 40) -> xr.Dataset:
    """Sweep a and b with the probe: a quarter of a minute on two cores."""
    axis = pj.log_axis(3, 270, count)
    grid = pj.Grid(a=axis, b=axis, learning_rate=ETA, eps=0.0, eps_root=EPS_ROOT)
    problem = pj.problems.quadratic(SPECTRUM, (1.0, 1.0))
    how: dict[str, Any] = {"steps": 20_000, "block_size": 16, "probes": ["lyapunov"]}
    return pj.sweep(problem, pj.adam, grid, **how)


def signs(dataset: xr.Dataset) -> xr.DataArray:
    """Return the sign of each exponent, 0 within two errors."""
    exponent = dataset["lyapunov_exponent"]
    return xr.where(abs(exponent) > 2 * dataset["lyapunov_error"], np.sign(exponent), 0)


def at_rest(a: np.ndarray | float, b: np.ndarray | float) -> Float[np.ndarray, "..."]:
    """Return the exponent of Adam at rest with complex multipliers: max(ln α, ½ ln β)."""
    return np.maximum(np.log1p(-np.multiply(a, ETA)), np.log1p(-np.multiply(b, ETA)) / 2)


def border() -> float:
    """Return the largest b at which Adam can come to rest."""
    return float(theory.adam_border(max(SPECTRUM), ETA, EPS_ROOT))


def draw(dataset: xr.Dataset) -> Figure:
    """Draw the plane on the left, and a cut along b on the right."""
    figure = Figure(figsize=(11, 4.8))
    plane, cut = figure.subplots(1, 2, width_ratios=(1.2, 1))
    _draw_plane(figure, plane, dataset)
    _draw_cut(cut, dataset.sel(a=CUT, method="nearest"))
    return figure


def _draw_plane(figure: Figure, panel: Axes, dataset: xr.Dataset) -> None:
    """Draw the exponents, grey where they are zero within two errors."""
    edges = cell_edges(dataset, "a"), cell_edges(dataset, "b")
    exponent = dataset["lyapunov_exponent"].transpose("b", "a").values
    norm = SymLogNorm(LINEAR, vmin=-LIMIT, vmax=LIMIT)
    mesh = panel.pcolormesh(*edges, exponent, cmap="RdBu_r", norm=norm)
    zero = signs(dataset).transpose("b", "a").values == 0
    panel.pcolormesh(*edges, np.ma.masked_where(~zero, zero), cmap=ListedColormap([ZERO]))
    scale_plane(panel, dataset)
    for colour, width, style in (("white", 3.0, "-"), ("black", 1.2, "--")):
        panel.axhline(border(), color=colour, linewidth=width, linestyle=style)
    panel.annotate(
        f"theory: rest only below b = {border():.0f}", (3, border()), (6, -6),
        textcoords="offset points", va="top", color="white",
    )  # fmt: skip
    column = float(dataset["a"].sel(a=CUT, method="nearest"))
    top = panel.get_xaxis_transform()
    panel.plot(column, 1.015, "v", color="black", markersize=6, transform=top, clip_on=False)
    bar = figure.colorbar(mesh, ax=panel, extend="both", label="λ per step")
    bar.set_ticks([-0.1, -0.01, -0.001, 0, 0.001, 0.01, 0.1])
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    bar.minorticks_off()
    counts = {sign: int((signs(dataset) == sign).sum()) for sign in SIGNS}
    panel.legend(
        handles=[Patch(color=SIGNS[n], label=f"{NAMES[n]}  {counts[n]}") for n in SIGNS],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.02),
        ncols=3,
        columnspacing=1,
    )


def _draw_cut(panel: Axes, row: xr.Dataset) -> None:
    """Draw exponents with their errors over b, and the exponent at rest."""
    a, b = float(row["a"]), row["b"].values
    below = np.geomspace(b[0], border(), 200)
    panel.plot(below, at_rest(a, below), color="black", label="at rest: max(ln α, ½ ln β)")
    panel.axvline(border(), color="black", linestyle="--", linewidth=1)
    panel.axhline(0, color="0.6", linewidth=0.8)
    found = signs(row).values
    for sign, colour in SIGNS.items():
        cells = row.isel(b=found == sign)
        bars = 2 * cells["lyapunov_error"]
        where = cells["b"], cells["lyapunov_exponent"]
        panel.errorbar(*where, bars, fmt="o", ms=4, color=colour, capsize=2, label=NAMES[sign])
    panel.set_xscale("log")
    log_ticks(panel.xaxis, decades=2)
    panel.set_xlabel(f"b   (a = {a:.3g})")
    panel.set_ylabel("Lyapunov exponent λ per step")
    panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
