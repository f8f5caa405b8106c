"""Distance of Adam from its two continuous limits, as a function of the learning rate."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import phasejax as pj

TITLE = "Two continuous limits"
CAPTION = """
Ma, Wu and E (2021): as η → 0 with α and β fixed, Adam becomes the signGD flow; with α = 1 − aη
and β = 1 − bη, a and b fixed, it becomes another flow in x, m and v. The largest distance to
each flow up to t = 2 falls in proportion to η (dashed: slope one). Quadratic with eigenvalues 1
and 0.1, ε = 0.1: inside the root with a = 5 and b = 20, outside with α = 0.9 and β = 0.5.
"""
ETAS = (1e-2, 4e-3, 1e-3, 4e-4, 1e-4)
"""Learning rates."""
CASES = ("Adam and its flow, a = 5, b = 20", "Adam and the signGD flow, α = 0.9, β = 0.5")
"""The two comparisons, by their names in the legend."""


def compute(etas: tuple[float, ...] = ETAS) -> dict[str, np.ndarray]:
    """Return the largest distance for each η, for each of `CASES`."""
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    times = np.linspace(0.2, 2.0, 10)
    root: dict[str, Any] = {"eps": 0.0, "eps_root": 0.1}
    own = pj.trajectory(problem, pj.adam_flow, times=times, a=5.0, b=20.0, **root)
    sign = pj.trajectory(problem, pj.signgd_flow, times=times, eps=0.1)

    def distance(path: np.ndarray, eta: float, **hyper: Any) -> float:
        steps = np.round(times / eta).astype(int)
        adam = pj.trajectory(problem, pj.adam, steps=steps, learning_rate=eta, **hyper)
        return float(np.linalg.norm(adam - path, axis=1).max())

    found = [
        [distance(own, eta, a=5.0, b=20.0, **root) for eta in etas],
        [distance(sign, eta, a=0.1 / eta, b=0.5 / eta, eps=0.1) for eta in etas],
    ]
    return {"η": np.array(etas), **dict(zip(CASES, map(np.array, found), strict=True))}


def draw(distances: dict[str, np.ndarray]) -> Figure:
    """Draw the distances over η, with lines of slope one through those at the smallest η."""
    figure = Figure(figsize=(5.4, 3.6))
    panel = figure.subplots()
    eta = distances["η"]
    for name, marker in zip(CASES, "os", strict=True):
        panel.loglog(eta, distances[name], marker, label=name)
        panel.loglog(eta, distances[name][-1] * eta / eta[-1], "--", color="black", lw=0.9)
    panel.plot([], [], "--", color="black", lw=0.9, label="slope one")
    panel.set_xlabel("learning rate η")
    panel.set_ylabel("largest |$x_k$ − x(kη)|, kη ≤ 2")
    panel.legend()
    return figure
