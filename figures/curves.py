"""How figures draw a loss curve."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from phasejax.plot.style import COLOURS
from phasejax.regimes import NAMES


def draw_curve(panel: Axes, cell: xr.Dataset) -> None:
    """Draw a cell's loss on a logarithmic axis: from minimum to maximum, and the mean of log10."""
    steps = cell["step"].values
    low = np.maximum(cell["loss_min"], 1e-300)
    colour = COLOURS[NAMES[int(cell["regime"])]]
    panel.fill_between(steps, low, cell["loss_max"], color=colour, alpha=0.6, linewidth=0)
    panel.semilogy(steps, 10 ** cell["log10_loss_mean"], color="black", linewidth=0.7)
    panel.set_xlabel("step")
    panel.set_ylabel("loss")
