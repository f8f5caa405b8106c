"""RMSprop along a."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasejax.plot.panel import decorate, draw_legend, draw_regimes
from phasejax.plot.style import COLOURS
from phasejax.plot.ticks import log_ticks
from phasejax.regimes import name_of

from .recipes import found

TITLE = "RMSprop along a"
CAPTION = """
Ma, Wu and E (2021) vary a and b of Adam; RMSprop (α = 1 − aη, no average of gradients) has only
a. Left, its regimes over a and the learning rate on the digits (ε = 1e-8 inside the root): no
divergence, and spikes where a is small, so that the averages have a long memory, and η is not
small. The row that descends at η = 0.006, between rows that oscillate, is due to the horizon of
20,000 steps. At large η relu units die (at a = 10 the hidden layers have 11 and 12 units of 16
that are ever active at η = 0.001, and 5 and 5 at η = 0.006), and the remaining loss slowly falls
to a plateau, by 0.2 to 0.5 decades in the late half. At η = 0.01 it has reached the plateau, and
oscillates by a hundredth of a decade about a level of −3.4; at η = 0.006 it has not, and after
80,000 steps it oscillates too. Below, at η = 0.003 to 0.004, the fall is so near the rule's 0.15
decades that cells get either label. Right, along a: the level of the late loss (marker) and its
maximum (upper end), at two learning rates. At the smaller one, spikes rise two to three decades
above a level that is a decade below that of the other cells.
"""
RATES = (2.5e-4, 1e-3)
"""Learning rates of the cuts."""


def compute() -> xr.Dataset:
    """Load the sweep over a and the learning rate."""
    return found("rmsprop_digits/sweep.zarr", "rmsprop_digits.py")


def draw(dataset: xr.Dataset) -> Figure:
    """Draw the plane on the left, and cuts along a on the right."""
    figure = Figure(figsize=(11, 4.8))
    plane, cut = figure.subplots(1, 2)
    draw_regimes(plane, dataset, "a", "learning_rate")
    draw_legend(plane, dataset)
    decorate(plane, dataset, "a", "learning_rate")
    for rate, marker in zip(RATES, "os", strict=True):
        _draw_cut(cut, dataset.sel(learning_rate=rate, method="nearest"), marker)
    cut.set_xscale("log")
    log_ticks(cut.xaxis, decades=3)
    cut.set_xlabel("a   (v-decay α = 1 − aη)")
    cut.set_ylabel(r"$\log_{10}$ of the late loss: level, up to the maximum")
    cut.legend(title="colour: regime", loc="lower right")
    return figure


def _draw_cut(panel: Axes, row: xr.Dataset, marker: str) -> None:
    """Draw lines from the level of the late loss to its maximum, in the colour of the regime."""
    a, level, peak = (row[name].values for name in ("a", "late_level", "late_peak"))
    a = a * (1.03 if marker == "s" else 0.97)  # so that the two rates do not overlap
    colours = [COLOURS[name_of(code)] for code in row["regime"].values]
    panel.vlines(a, level, peak, colors=colours, linewidth=2)
    name = f"η = {float(row['learning_rate']):.2g}"
    panel.scatter(a, level, c=colours, marker=marker, edgecolor="black", linewidth=0.5, zorder=3)
    panel.scatter([], [], c="white", marker=marker, edgecolor="black", label=name)
    assert np.all(peak >= level)
