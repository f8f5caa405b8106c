"""The signGD flow, Adam, and the bound on the loss of the flow."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

import phasejax as pj
from phasejax import theory

TITLE = "Fast start: the signGD flow under its bound"
CAPTION = """
Ma, Wu and E (2021), theorem: if |∇f|² ≥ μf, the signGD flow ẋ = −sign(∇f) has f(x(t)) ≤ (√f₀ −
√μ t/2)². It reaches the minimum in a finite time, which is why adaptive algorithms start fast:
Adam at fixed α and β approaches this flow as η → 0. Here on a quadratic with eigenvalues 1 and
0.3, where μ = 0.6. The flow reaches zero at t = 1, the bound at t = 2√(f₀/μ); Adam with α = 0.9,
β = 0.5 and η = 1e-3 lies on the flow.
"""
SPECTRUM = (1.0, 0.3)
"""Eigenvalues of the quadratic."""
START = (1.0, 0.6)
"""Starting point."""
ETA = 1e-3
"""Learning rate of Adam."""


class Runs(NamedTuple):
    """Losses over time, and the time at which the bound becomes zero."""

    time: np.ndarray
    flow: np.ndarray
    adam: np.ndarray
    bound: np.ndarray
    extinction: float


def compute() -> Runs:
    """Run the flow and Adam from the same start."""
    problem = pj.problems.quadratic(SPECTRUM, START)
    time = np.linspace(0, 1.6, 161)
    flow = pj.trajectory(problem, pj.signgd_flow, times=time)
    steps = np.round(time / ETA).astype(int)
    adam = pj.trajectory(problem, pj.adam, steps=steps, a=0.1 / ETA, b=0.5 / ETA, learning_rate=ETA)
    of_flow, of_adam = (0.5 * path**2 @ np.array(SPECTRUM) for path in (flow, adam))
    mu = problem.pl_constant
    assert mu is not None
    bound = np.asarray(theory.signgd_bound(of_flow[0], mu, time))
    extinction = float(theory.signgd_extinction_time(of_flow[0], mu))
    return Runs(time, of_flow, of_adam, bound, extinction)


def draw(runs: Runs) -> Figure:
    """Draw both losses and the bound."""
    figure = Figure(figsize=(5.4, 3.6))
    panel = figure.subplots()
    bound = f"bound $(\\sqrt{{f_0}} - \\sqrt{{\\mu}}\\,t/2)^2$, zero at t = {runs.extinction:.2f}"
    panel.plot(runs.time, runs.bound, "--", color="black", label=bound)
    panel.plot(runs.time, runs.flow, label="signGD flow")
    panel.plot(runs.time, runs.adam, ":", lw=2.4, label="Adam, α = 0.9, β = 0.5, η = 0.001")
    panel.set_xlabel("time t, and kη")
    panel.set_ylabel("loss")
    panel.legend()
    return figure
