"""Sharpness over the threshold of Adam: along two runs, and over a and b."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import phasejax as pj
from phasejax.plot.ticks import plain_number
from phasejax.regimes import NAMES
from phasejax.results.axes import cell_edges

from .plane import scale_plane

TITLE = "Spikes and oscillations start at the edge of stability"
CAPTION = """
At rest Adam is stable while its preconditioned sharpness is below 2(1 + β)/((1 − β)η) (arXiv
2207.14484). The probe `sharpness` measures it over this threshold: the edge ratio. Left, two runs
on the digits (η = 1e-3, ε = 1e-8). At a = 1, b = 100 the ratio rises from 0.01 as the loss falls,
reaches 0.8 at step 5,520 and 1 at step 5,920, and the first spike follows. From then on it is a
sawtooth: 12 spikes begin at a ratio of 1.01 to 1.04, and throw it back to 0.955 (the first) down
to 0.82 (the last). At a = b = 10 the ratio is 0.8 at step 1,800, and stays at 0.87 to 0.88 from
step 2,400 on while the loss oscillates. Dotted: steps 5,920 and 1,800. Right, the first step with
a ratio of 0.8 in 9 × 9 cells of 10,000 steps (circles: the two runs): the larger b is, the sooner.
Of the 12 cells that spike, 11 have reached a ratio of 1; the one at a = 10, b = 2.2 came to 0.75.
No cell that diverges was at 0.8. The other grey cells descend (16) or oscillate (5).
"""
CELLS = ((1, 100), (10, 10))
"""a and b of the two runs."""
COLOURS = ("#D55E00", "#0072B2")
"""Their colours."""
ETA = 1e-3
"""Learning rate."""
AXIS = tuple(10 ** (k / 3) for k in range(-1, 8))
"""Values of a and of b in the plane: 0.46 to 215, with 1, 10 and 100."""


class Runs(NamedTuple):
    """Sweeps of one cell each, and of the plane."""

    cells: list[xr.Dataset]
    plane: xr.Dataset


def compute() -> Runs:
    """Run both cells and the plane: a minute and a quarter on two cores."""
    return Runs([run([a], [b], windows=250) for a, b in CELLS], run(AXIS, AXIS, windows=125))


def run(
    a: Sequence[float],
    b: Sequence[float],
    windows: int,
    probes: Sequence[str] = ("sharpness",),
) -> xr.Dataset:
    """Sweep a and b on the digits."""
    grid = pj.Grid(a=a, b=b, learning_rate=ETA, eps=1e-8)
    block_size = 2 if len(a) == 1 else 8
    return pj.sweep(
        pj.problems.digits(),
        pj.adam,
        grid,
        steps=10_000,
        windows=windows,
        block_size=block_size,
        probes=probes,
    )


def draw(runs: Runs) -> Figure:
    """Draw loss and ratio on the left, the plane on the right."""
    figure = Figure(figsize=(11, 4.8))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.05, 1))
    loss, ratio = (figure.add_subplot(grid[row, 0]) for row in (0, 1))
    for dataset, (a, b), colour in zip(runs.cells, CELLS, COLOURS, strict=True):
        _draw_run(loss, ratio, dataset.squeeze(), f"a = {a}, b = {b}", colour)
    loss.set_ylabel("largest loss of 40 steps")
    loss.sharex(ratio)
    loss.tick_params(labelbottom=False)
    loss.legend()
    ratio.axhline(1, color="black", linestyle="--", linewidth=1)
    ratio.annotate("edge: 1", (100, 1), (0, 2), textcoords="offset points", va="bottom")
    ratio.set_ylim(0, 1.2)
    ratio.set_ylabel("edge ratio")
    ratio.set_xlabel("step")
    _draw_plane(figure, figure.add_subplot(grid[:, 1]), runs.plane)
    return figure


def _draw_run(loss: Axes, ratio: Axes, cell: xr.Dataset, name: str, colour: str) -> None:
    """Draw the loss and the ratio of a run; a dotted line where the ratio has reached 1 or 0.8."""
    found = pj.mechanism(cell)
    edge = float(found["edge_crossing"].fillna(found["edge_onset"]))
    steps = cell["step"].values
    ends = np.append(steps[1:], cell.attrs["horizon"])
    loss.semilogy(steps, cell["loss_max"], color=colour, label=name)
    ratio.plot(ends, cell["edge_ratio"], color=colour)
    for panel in (loss, ratio):
        panel.axvline(edge, color=colour, linestyle=":", linewidth=1)


def _draw_plane(figure: Figure, panel: Axes, dataset: xr.Dataset) -> None:
    """Draw when each cell came to the edge, and which cells spike or diverge."""
    onset = pj.mechanism(dataset)["edge_onset"].transpose("b", "a")
    panel.set_facecolor("0.85")
    mesh = panel.pcolormesh(
        cell_edges(dataset, "a"),
        cell_edges(dataset, "b"),
        onset.values,
        cmap="viridis",
        norm=LogNorm(100, 10_000),
    )
    codes = dataset["regime"].transpose("b", "a").values
    for name, marker, colour in (("spike", "^", "#D55E00"), ("divergence", "X", "black")):
        rows, columns = np.nonzero(codes == NAMES.index(name))
        at = dataset["a"].values[columns], dataset["b"].values[rows]
        panel.scatter(
            *at,
            marker=marker,
            color=colour,
            s=40,
            label=f"{name}  {rows.size}",
        )
    for (a, b), colour in zip(CELLS, COLOURS, strict=True):
        panel.plot(a, b, "o", markersize=15, fillstyle="none", color="white", markeredgewidth=3.5)
        panel.plot(a, b, "o", markersize=15, fillstyle="none", color=colour, markeredgewidth=2)
    panel.scatter([], [], marker="s", color="0.85", s=60, label="never at 0.8")
    panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    scale_plane(panel, dataset)
    bar = figure.colorbar(mesh, ax=panel, label="first step with an edge ratio of at least 0.8")
    bar.set_ticks([100, 300, 1000, 3000, 10_000])
    bar.ax.yaxis.set_major_formatter(lambda value, _: plain_number(float(value)))
    bar.minorticks_off()
