"""Loss curves of the three regimes."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasejax.plot.style import COLOURS
from phasejax.regimes import name_of

from .recipes import found

TITLE = "The three regimes of Adam"
CAPTION = """
Ma, Wu and E (2021): with v-decay 1 − aη and m-decay 1 − bη, Adam is in one of three regimes. For
b sufficiently larger than a the process is unstable and **spikes** (a = 1, b = 100); where a and
b are of one order, the loss becomes small and stable, with small **oscillations** (a = b = 10);
for a sufficiently larger than b it is unstable and may **diverge** after a period of training (a
= 100, b = 1). These are cells of `make sweep`: two handwritten digits, a relu network
64-16-16-1, η = 1e-3, ε = 1e-8 outside the root. The band is from the smallest to the largest
loss of each window of 78 steps, the line the mean of its logarithm.
"""
CELLS = ((1, 100), (10, 10), (100, 1))
"""a and b of the paper's three cells."""


def compute() -> xr.Dataset:
    """Load the main sweep."""
    return found("digits/sweep.zarr", "digits.py")


def draw(dataset: xr.Dataset) -> Figure:
    """Draw the paper's three cells, each with its own loss axis."""
    figure = Figure(figsize=(10, 3.2))
    panels = figure.subplots(1, 3)
    for panel, (a, b) in zip(panels, CELLS, strict=True):
        cell = dataset.sel(a=a, b=b, method="nearest")
        _draw_curve(panel, cell)
        panel.set_title(f"a = {a}, b = {b}: {name_of(cell['regime'].item())}")
        panel.set_ylim(bottom=max(panel.get_ylim()[0], 1e-16))
    return figure


def _draw_curve(panel: Axes, cell: xr.Dataset) -> None:
    """Draw a cell's loss: a band from minimum to maximum, and a line for the mean of log10."""
    steps = cell["step"].values
    low = np.maximum(cell["loss_min"], 1e-300)
    colour = COLOURS[name_of(cell["regime"].item())]
    panel.fill_between(steps, low, cell["loss_max"], color=colour, alpha=0.6, linewidth=0)
    panel.semilogy(steps, 10 ** cell["log10_loss_mean"], color="black", linewidth=0.7)
    panel.set_xlabel("step")
    panel.set_ylabel("loss")
