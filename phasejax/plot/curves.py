"""Loss curves of training logs, with their spikes marked."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..regimes import Regime
from .figure import Diagram

MOST = 24
"""Most panels of a figure."""
COLUMNS = 3
"""Most panels in a row."""
DENSE = 400
"""A curve of more losses than this is drawn with a thin line."""
CURVE = "#0072B2"
SPIKE = "#D55E00"
NOT_FINITE = "#dddddd"


class Run(NamedTuple):
    """A curve to draw.

    - `name`: over its panel.
    - `axis`: what its steps are called.
    - `step`, `loss`: `[steps]`.
    - `regime`: its label and spikes.
    """

    name: str
    axis: str
    step: Float[np.ndarray, " steps"]
    loss: Float[np.ndarray, " steps"]
    regime: Regime


def loss_curves(runs: Sequence[Run]) -> Figure:
    """Draw a panel for each run: the loss by step, and a triangle over each spike.

    The vertical axis is logarithmic if no loss of the run is negative. Losses that are not finite
    leave a gap, and the steps after the last finite loss are grey. Of more than 24 runs the first
    24 are drawn, with a warning.
    """
    if len(runs) > MOST:
        warnings.warn(f"drew {MOST} of {len(runs)} runs", stacklevel=2)
    runs = runs[:MOST]
    columns = min(len(runs), COLUMNS)
    rows = -(-len(runs) // columns)
    figure = Diagram(figsize=(4.2 * columns, 2.9 * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, run in zip(places, runs, strict=False):
        _draw(panel, run)
    for panel in places[len(runs) :]:
        panel.remove()
    return figure


def _draw(panel: Axes, run: Run) -> None:
    """Draw one run."""
    finite = np.where(np.isfinite(run.loss), run.loss, np.nan)
    panel.plot(run.step, finite, color=CURVE, linewidth=0.7 if len(finite) > DENSE else 1.2)
    _scale(panel, run.step, finite)
    at = [spike.step for spike in run.regime.spikes]
    if at:
        heights = finite[np.searchsorted(run.step, at)]
        panel.plot(at, heights, "v", color=SPIKE, markersize=5, markeredgecolor="white",
                   markeredgewidth=0.5)  # fmt: skip
    spikes = f", {len(at)} spike{'s' * (len(at) > 1)}" if at else ""
    doubt = " (in doubt)" if run.regime.doubt else ""
    panel.set_title(f"{_short(run.name)}\n{run.regime.label}{doubt}{spikes}", fontsize=9)
    panel.set_xlabel(run.axis)
    panel.set_ylabel("loss")
    panel.spines[["top", "right"]].set_visible(False)


def _scale(panel: Axes, step: np.ndarray, finite: np.ndarray) -> None:
    """Choose the scale, and mark the steps after the last finite loss."""
    if np.nanmin(finite, initial=np.inf) >= 0 and np.nanmax(finite, initial=0) > 0:
        panel.set_yscale("log")
    known = np.flatnonzero(~np.isnan(finite))
    last = float(step[known[-1]] if len(known) else step[0])
    if last < step[-1]:
        panel.axvspan(last, float(step[-1]), color=NOT_FINITE, linewidth=0, label="not finite")
        panel.legend(frameon=False, fontsize=8, loc="upper right")


def _short(name: str, letters: int = 48) -> str:
    """The end of a long name, without mathematics."""
    name = name if len(name) <= letters else f"…{name[1 - letters :]}"
    return name.replace("$", r"\$")
