"""Regimes of Adam over 1 − β₁ and 1 − β₂ on digits and models, and periods of their spikes."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from phasejax.plot.panel import decorate, draw_regimes
from phasejax.plot.safe import draw_safe
from phasejax.plot.style import COLOURS, NO_VALUE
from phasejax.plot.ticks import plain_number
from phasejax.regimes import NAMES
from phasejax.regimes.classify import regime_counts
from phasejax.results.axes import cell_edges

from .recipes import found

TITLE = "The plane of decays on networks"
CAPTION = """
Adam over δ = 1 − β₁ and γ = 1 − β₂ at η = 0.001, in 16 × 16 cells: digits for 20,000 steps, the
models for 5,000. Thick: how far γ may be raised, in each column, from the side on which more
columns are safe, before the first cell that spikes or diverges (`phasejax.safe_region`). With
squared loss, digits spike at the lower right, near the line γ = δ/12 that other learning rates and
planes show too. With logistic loss none of the 256 cells spikes, and runs diverge above a line near
γ = 3.7 δ, which arXiv 2609.18314 gives for networks with cross-entropy. On modular addition and the
convolutional network spikes lie in a band next to divergence, on that side of the plane. Borders
and their errors: docs/stability.md. Below, the mean distance of spikes (`spike_period`) in the
cells with at least three that do not diverge: in the median 640 steps on digits, 233 on modular
addition and 237 on the convolutional network.
"""

TITLES = {
    "digits_squared": "digits, squared loss",
    "digits_logistic": "digits, logistic loss",
    "modular_addition": "modular addition",
    "convnet": "convolutional network",
    "autoencoder": "autoencoder",
    "characters": "characters, mini-batches",
}
"""Titles of the planes of sweeps/stability.py."""
SPIKING = ("digits_squared", "modular_addition", "convnet")
"""Planes with many spikes."""
PERIODS = LogNorm(100, 5_000)
"""Scale of the periods in steps."""
LINES = ["gamma = 3.7 delta", "gamma = delta / 12"]
"""Published for cross-entropy, and for two digits with squared loss."""


def compute() -> dict[str, xr.Dataset]:
    """Load the planes, or run them, which takes some 25 minutes on two cores."""
    return {name: found(f"stability/{name}.zarr", "stability.py", name) for name in TITLES}


def draw(planes: Mapping[str, xr.Dataset]) -> Figure:
    """Draw a panel of regimes for each plane with one legend, and the periods of spikes below."""
    figure = Figure(figsize=(11.5, 11), layout="constrained")
    rows = figure.subplots(3, 3, sharex=True, sharey=True)
    panels = list(rows[:2].flat)
    for panel, (name, dataset) in zip(panels, planes.items(), strict=True):
        draw_regimes(panel, dataset, "delta", "gamma")
        draw_safe(panel, dataset, "delta", "gamma", "gamma")
        _decorate(panel, dataset, TITLES[name])
    counts = [regime_counts(dataset) for dataset in planes.values()]
    handles = [
        Patch(color=colour, label=name)
        for name, colour in COLOURS.items()
        if any(count.get(name) for count in counts)
    ]
    safe = {patch.get_label(): patch for panel in panels for patch in panel.patches[-1:]}
    handles.extend(safe.values())
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    _draw_periods(figure, rows[2], {name: planes[name] for name in SPIKING})
    return figure


def _draw_periods(figure: Figure, panels: np.ndarray, planes: Mapping[str, xr.Dataset]) -> None:
    """Draw the mean distance of spikes in each cell with at least three."""
    for panel, (name, dataset) in zip(panels, planes.items(), strict=True):
        bounded = dataset["regime"] != NAMES.index("divergence")
        period = dataset["spike_period"].where(bounded).transpose("gamma", "delta")
        edges = cell_edges(dataset, "delta"), cell_edges(dataset, "gamma")
        panel.set_facecolor(NO_VALUE)
        panel.pcolormesh(*edges, period, cmap="viridis", norm=PERIODS)
        _decorate(panel, dataset, f"{TITLES[name]}: {int(period.notnull().sum())} cells")
    scale = ScalarMappable(PERIODS, "viridis")
    bar = figure.colorbar(
        scale, ax=panels, pad=0.02, extend="both", label="steps from spike to spike"
    )
    bar.set_ticks([100, 300, 1_000, 3_000])
    bar.minorticks_off()
    bar.ax.yaxis.set_major_formatter(lambda value, _: plain_number(float(value)))


def _decorate(panel: Axes, dataset: xr.Dataset, title: str) -> None:
    """Add axes, lines and a title."""
    decorate(panel, dataset, "delta", "gamma", lines=LINES)
    panel.set_title(title, fontsize=10)
    panel.label_outer()
