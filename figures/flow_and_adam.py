"""Adam's flow beside Adam."""

import xarray as xr
from matplotlib.figure import Figure

import phasejax as pj

from .recipes import found

TITLE = "The flow beside the discrete algorithm"
CAPTION = """
Ma, Wu and E (2021): at α = 1 − aη, β = 1 − bη Adam's limit is v̇ = a(∇f² − v), ṁ = b(∇f − m), ẋ
= −m̂/√(v̂ + ε), m̂ = m/(1 − e^(−bt)), v̂ = v/(1 − e^(−at)). Left the flow to t = 20 on a
quadratic (ε = 1e-8 inside the root), in the middle Adam with η = 1/300 over the same time, right
where they differ. The flow neither spikes nor oscillates: those regimes are made by the finite
step, above the line b = 34 from which it can't follow. Green cells have converged:
a loss of zero, or at the rounding floor, or loss and parameters at rest. The column a = 300 = 1/η
has α = 0, a v without memory.
"""


def compute() -> tuple[xr.Dataset, xr.Dataset]:
    """Find both sweeps."""
    return (
        found("flow_quadratic/flow.zarr", "flow_quadratic.py"),
        found("flow_quadratic/adam.zarr", "flow_quadratic.py"),
    )


def draw(sweeps: tuple[xr.Dataset, xr.Dataset]) -> Figure:
    """Both planes, and the cells in which they differ."""
    return pj.comparison(*sweeps)
