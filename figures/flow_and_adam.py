"""Adam's flow compared with Adam."""

import xarray as xr
from matplotlib.figure import Figure

import phasejax as pj

from .recipes import found

TITLE = "Adam's flow and Adam"
CAPTION = """
Ma, Wu and E (2021): at α = 1 − aη, β = 1 − bη Adam's limit is v̇ = a(∇f² − v), ṁ = b(∇f − m), ẋ
= −m̂/√(v̂ + ε), m̂ = m/(1 − e^(−bt)), v̂ = v/(1 − e^(−at)). Left the flow to t = 20 on a
quadratic (ε = 1e-8 inside the root), in the middle Adam with η = 1/300 over the same time, right
where they differ. Where b is small, or a is large compared with b, both oscillate alike. But the
flow never spikes, and comes to rest for larger b: the finite step causes the regimes above the
line b = 34, where Adam can't come to rest. Green (converged): the loss has fallen below the
errors of the flow's solver, some 1e-23, which are the floor for both; in Adam's green cells
above the line, at small a, the iterates are so small that the loss is exactly zero. At a = 1/η =
300 α is exactly 0 and v is only the last squared gradient, which has no counterpart in the flow.
At b = 300 β is 0, and unless a is small Adam jumps from side to side at a constant loss, an
oscillation.
"""


def compute() -> tuple[xr.Dataset, xr.Dataset]:
    """Load both sweeps."""
    return (
        found("flow_quadratic/flow.zarr", "flow_quadratic.py"),
        found("flow_quadratic/adam.zarr", "flow_quadratic.py"),
    )


def draw(sweeps: tuple[xr.Dataset, xr.Dataset]) -> Figure:
    """Draw both planes, and the cells in which they differ."""
    return pj.comparison(*sweeps)
