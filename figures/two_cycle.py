"""RMSprop's 2-cycle on x²/2."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import phasejax as pj
from phasejax import theory

TITLE = "Small oscillations: RMSprop's 2-cycle"
CAPTION = """
Ma, Wu and E (2021): on f(x) = x²/2 RMSprop approaches a 2-periodic solution, and oscillates
between −η/2 and η/2. Left, the iterates in units of η (ε = 0, η = 1e-3): they first fall far
below η, and then return. Right, the distance to the cycle. It shrinks by a factor √α per step,
as the eigenvalues of the twice-iterated map predict (dashed).
"""
ETA = 1e-3
"""Learning rate."""
ALPHAS = (0.5, 0.9, 0.98)
"""Decays of v."""
STEPS = np.arange(3_000)
"""Numbers of the steps."""


def compute() -> dict[float, np.ndarray]:
    """Return the iterates in units of η, for each α."""
    problem = pj.problems.power(2, (0.7,))
    return {
        alpha: pj.trajectory(
            problem, pj.rmsprop, steps=STEPS, a=(1 - alpha) / ETA, learning_rate=ETA, eps=0.0
        )[:, 0]
        / ETA
        for alpha in ALPHAS
    }


def draw(paths: dict[float, np.ndarray]) -> Figure:
    """Draw the iterates on the left, and the distances to the cycle on the right."""
    figure = Figure(figsize=(10, 3.8))
    left, right = figure.subplots(1, 2)
    _draw_iterates(left, paths[0.9])
    for (alpha, path), style in zip(paths.items(), ("-", "--", "-."), strict=True):
        distance = np.abs(np.abs(path) / 0.5 - 1)
        shown = slice(None, None, 5)
        right.semilogy(
            STEPS[shown], np.maximum(distance, 1e-17)[shown], style, label=f"α = {alpha}"
        )
        first = int(np.flatnonzero(distance > 0.1)[-1]) + 1
        steps = STEPS[first:]
        expected = distance[first] * theory_rate(alpha) ** (steps - first)
        near = expected > 1e-15
        right.semilogy(steps[near], expected[near], ":", color="black", lw=1.2)
    right.plot([], [], ":", color="black", lw=1.2, label="√α per step, by theory")
    right.set_ylim(1e-17, 1e8)
    right.set_xlabel("step k")
    right.set_ylabel("| |$x_k$| / (η/2) − 1 |")
    right.legend(loc="upper right", ncols=2)
    return figure


def theory_rate(alpha: float) -> float:
    """Factor by which a step reduces the distance to the cycle, from theory."""
    return float(np.abs(theory.rmsprop_cycle_multipliers(alpha)).max() ** 0.5)


def _draw_iterates(panel: Axes, path: np.ndarray) -> None:
    """Draw the last steps before the cycle, and the cycle."""
    start = int(np.flatnonzero(np.abs(np.abs(path) - 0.5) > 0.05)[-1]) - 40
    steps = STEPS[start : start + 70]
    panel.plot(steps, path[steps], "o-", ms=3, lw=0.7, label="$x_k$ / η, α = 0.9")
    for side in (-0.5, 0.5):
        panel.axhline(side, ls="--", color="black", lw=0.9)
    panel.plot([], [], "--", color="black", lw=0.9, label="−1/2 and 1/2")
    panel.set_xlabel("step k")
    panel.set_ylabel("$x_k$ / η")
    panel.set_ylim(-0.85, 1.15)
    panel.legend(loc="upper left", ncols=2)
