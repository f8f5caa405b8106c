"""Periods of gradient descent beyond its edge of stability, and of RMSprop."""

from typing import Any, NamedTuple

import numpy as np
import optax
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import phasejax as pj

TITLE = "Periods: how a run recurs"
CAPTION = """
Left, gradient descent on ½(w₂w₁ − 1)², a linear network with two layers, over the learning rate η
(4,096 steps). The flattest minimum has the sharpness 2, so no minimum is stable for η > 1 (dotted).
The run does not diverge there: it goes to a cycle of period 2, and from η = 1.236 to one of period
4, as theory says for w₁ = w₂ (√5 − 1). The periods 8, 16 and 32 follow up to 1.302. Of the 289
cells beyond, 260 have no period up to 32, and all of them have a Lyapunov exponent λ > 0: chaos.
Between them are windows such as that of period 3 at η = 1.452 to 1.460. From 0.972 to 0.998 runs
converge slowly, at a loss below 1e-9, and steps alternate. Above, the losses of the last 128 steps;
in the middle, the period that the probe `period` found from the parameters; below, λ. Right, why it
does not look at the loss: RMSprop on x²/2 (α = 0.8, η = 1e-3, ε = 0) alternates between η/2 and
−η/2, and its loss is constant.
"""
PROBLEM = pj.problems.deep_linear(2, (1.0,), 1.0)
"""The network of two layers."""
SEED = 1
"""Draws the start, with a loss of 0.024."""
RATES = (0.9, 1.88)
"""First and last learning rate."""
KEPT = 128
"""Steps drawn, at the end of each run."""
KINDS = {
    "1: a fixed point": ("#000000", (1,)),
    "2": ("#0072B2", (2,)),
    "4, 8, 16, 32": ("#56B4E9", (4, 8, 16, 32)),
    "other": ("#D55E00", ()),
    "none found": ("0.6", (0,)),
}
"""Colours and periods by the names of the legend; "other" are all that are not listed."""
RMSPROP: dict[str, Any] = {"a": 200.0, "learning_rate": 1e-3, "eps": 0.0}
"""Hyper-parameters of RMSprop."""
LAST = 12
"""Steps of RMSprop that are drawn."""


class Runs(NamedTuple):
    """Gradient descent with the probe, and step by step; RMSprop, and its iterates."""

    periods: xr.Dataset
    losses: xr.Dataset
    rmsprop: xr.Dataset
    iterates: np.ndarray


def compute(count: int = 491, steps: int = 4_096) -> Runs:
    """Sweep the learning rate, and run RMSprop: 15 seconds on two cores."""
    grid = pj.Grid(learning_rate=pj.linear_axis(*RATES, count), seed=SEED)
    how: dict[str, Any] = {"steps": steps, "block_size": 16}
    periods = pj.sweep(PROBLEM, optax.sgd, grid, windows=32, probes=["period", "lyapunov"], **how)
    losses = pj.sweep(PROBLEM, optax.sgd, grid, windows=steps, **how)
    parabola = pj.problems.quadratic((1.0,), (0.7,))
    rmsprop = pj.sweep(
        parabola, pj.rmsprop, pj.Grid(**{**RMSPROP, "a": [200.0]}), steps=steps, probes=["period"]
    )
    last = np.arange(steps - LAST, steps)
    iterates = pj.trajectory(parabola, pj.rmsprop, steps=last, **RMSPROP)
    return Runs(periods.squeeze(), losses.squeeze(), rmsprop.squeeze(), iterates.squeeze())


def draw(runs: Runs) -> Figure:
    """Draw gradient descent over the learning rate on the left, RMSprop on the right."""
    figure = Figure(figsize=(11, 6))
    grid = figure.add_gridspec(3, 2, width_ratios=(2.2, 1), height_ratios=(1.5, 1, 0.8))
    left = [figure.add_subplot(grid[row, 0]) for row in range(3)]
    right = grid[:, 1].subgridspec(2, 1)
    _draw_descent(left, runs)
    _draw_rmsprop([figure.add_subplot(right[row]) for row in range(2)], runs)
    return figure


def kinds(period: np.ndarray) -> np.ndarray:
    """Return the name of each period in the legend."""
    named = {p: name for name, (_, periods) in KINDS.items() for p in periods}
    return np.array([named.get(p, "other") for p in period])


def _draw_descent(panels: list[Axes], runs: Runs) -> None:
    """Draw late losses, periods and exponents of gradient descent."""
    loss, period, exponent = panels
    rates, found = runs.periods["learning_rate"].values, runs.periods["final_period"].values
    kind = kinds(found)
    late = runs.losses["loss_max"].values[:, -KEPT:]
    for name, (colour, _) in KINDS.items():
        at = kind == name
        x = np.repeat(rates[at], late.shape[1])
        loss.scatter(x, late[at].ravel(), s=0.5, color=colour, linewidth=0, rasterized=True)
        shown = np.where(found[at] > 0, found[at], 0.5)
        period.scatter(rates[at], shown, s=9, color=colour, linewidth=0, label=name)
        where = rates[at], runs.periods["lyapunov_exponent"].values[at]
        exponent.scatter(*where, s=5, color=colour, linewidth=0)
    loss.set_title("gradient descent on ½(w₂w₁ − 1)²")
    loss.set_ylabel(f"loss of the last {KEPT} steps")
    loss.set_ylim(bottom=0)
    period.set_yscale("log", base=2)
    period.set_yticks([0.5, 1, 2, 4, 8, 16, 32], ["none", "1", "2", "4", "8", "16", "32"])
    period.minorticks_off()
    period.set_ylabel("period (steps)")
    exponent.axhline(0, color="0.4", linewidth=0.8, zorder=0)
    exponent.set_ylabel("λ per step")
    exponent.set_xlabel("learning rate η")
    for panel in panels:
        panel.axvline(1, color="black", linestyle=":", linewidth=1)
        panel.set_xlim(*RATES)
        panel.tick_params(labelbottom=panel is exponent)
    handles, names = period.get_legend_handles_labels()
    box = {"frameon": True, "framealpha": 1, "edgecolor": "none", "loc": "upper left"}
    loss.legend(handles, names, title="period (steps)", markerscale=1.6, **box)


def _draw_rmsprop(panels: list[Axes], runs: Runs) -> None:
    """Draw the iterates of RMSprop, which alternate, and their loss, which does not."""
    iterates, losses = panels
    steps, eta = np.arange(-LAST, 0) + runs.rmsprop.attrs["horizon"], RMSPROP["learning_rate"]
    iterates.plot(steps, runs.iterates / eta, "o-", color="#0072B2", linewidth=0.8)
    losses.plot(steps, runs.iterates**2 / 2 / eta**2, "o-", color="#D55E00", linewidth=0.8)
    period = int(runs.rmsprop["final_period"])
    iterates.set_title(f"RMSprop on x²/2: period {period},\nalthough the loss is constant")
    iterates.set_ylabel("x / η")
    iterates.set_ylim(-0.8, 0.8)
    for panel in panels:
        panel.set_xticks(steps[::4])
    iterates.tick_params(labelbottom=False)
    losses.set_ylabel("loss / η²")
    losses.set_ylim(0, 0.25)
    losses.set_xlabel("step")
