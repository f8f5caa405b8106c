"""RMSprop's flow and its linearization."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

import phasejax as pj
from phasejax import theory

TITLE = "Linearization of RMSprop's flow"
CAPTION = """
Ma, Wu and E (2021): around a stationary point (x*, 0) the continuous RMSprop v̇ = a(∇f² − v), ẋ
= −∇f/(√v + ε) linearizes to ẋ = −(∇²f(x*)/ε)(x − x*), v̇ = −av. Here f = λx²/2 with λ = 0.3, ε =
0.1 (outside the root) and a = 2: once v has decayed, x goes to zero at the rate λ/ε = 3. A
discrete step follows it only while ηλ/ε < 2; with the usual ε = 1e-8 a network is far above this
bound, and RMSprop oscillates instead of coming to rest.
"""
CURVATURE = 0.3
"""λ of the loss λx²/2."""
EPS = 0.1
"""ε outside the root."""
A = 2.0
"""a of the flow."""


class Paths(NamedTuple):
    """|x| over time, for the flow and for the linearized path that ends at the same point."""

    time: np.ndarray
    flow: np.ndarray
    linear: np.ndarray


def compute() -> Paths:
    """Solve the flow, and compute the linearized path."""
    time = np.linspace(0, 8, 161)
    problem = pj.problems.quadratic((CURVATURE,), (1.0,))
    flow = np.abs(pj.trajectory(problem, pj.rmsprop_flow, times=time, a=A, eps=EPS)[:, 0])
    rate = theory.rmsprop_flow_jacobian(np.array([[CURVATURE]]), A, EPS)[0, 0]
    return Paths(time, flow, flow[-1] * np.exp(rate * (time - time[-1])))


def draw(paths: Paths) -> Figure:
    """Draw both on a logarithmic axis."""
    figure = Figure(figsize=(5.4, 3.6))
    panel = figure.subplots()
    panel.semilogy(paths.time, paths.flow, label="RMSprop's flow, |x|")
    panel.semilogy(
        paths.time,
        paths.linear,
        "--",
        color="black",
        label=f"linearized: rate λ/ε = {CURVATURE / EPS:g}",
    )
    panel.set_ylim(1e-9, 1e2)
    panel.set_xlabel("time t")
    panel.set_ylabel("|x|")
    panel.legend()
    return figure
