"""Regimes of Adam over 1 − β₁ and 1 − β₂ on digits and on models as people train them."""

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from phasejax.plot.panel import decorate, draw_regimes
from phasejax.plot.safe import draw_safe
from phasejax.plot.style import COLOURS
from phasejax.regimes.classify import regime_counts

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
and their errors: docs/stability.md.
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
LINES = ["gamma = 3.7 delta", "gamma = delta / 12"]
"""Published for cross-entropy, and for two digits with squared loss."""


def compute() -> dict[str, xr.Dataset]:
    """Load the planes, or run them, which takes some 25 minutes on two cores."""
    return {name: found(f"stability/{name}.zarr", "stability.py", name) for name in TITLES}


def draw(planes: Mapping[str, xr.Dataset]) -> Figure:
    """Draw a panel for each plane, and one legend."""
    figure = Figure(figsize=(11.5, 7.8), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for panel, (name, dataset) in zip(panels.flat, planes.items(), strict=True):
        draw_regimes(panel, dataset, "delta", "gamma")
        draw_safe(panel, dataset, "delta", "gamma", "gamma")
        decorate(panel, dataset, "delta", "gamma", lines=LINES)
        panel.set_title(TITLES[name], fontsize=10)
        panel.label_outer()
    counts = [regime_counts(dataset) for dataset in planes.values()]
    handles = [
        Patch(color=colour, label=name)
        for name, colour in COLOURS.items()
        if any(count.get(name) for count in counts)
    ]
    safe = {patch.get_label(): patch for panel in panels.flat for patch in panel.patches[-1:]}
    handles.extend(safe.values())
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure
