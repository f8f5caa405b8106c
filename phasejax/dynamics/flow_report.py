"""What a central flow records per window besides the mean loss that it predicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..probes.base import End, Probe, Quantity, Step

AT_THE_EDGE = 0.975
"""Share of the threshold from which an eigenvalue counts as at the edge: 1.95 of 2."""


class Report(NamedTuple):
    """What is known of one step of a central flow, at its start; `QUANTITIES` describes it."""

    flow_loss: Float[Array, ""]
    flow_edge_ratio: Float[Array, ""]
    flow_directions: Float[Array, ""]
    flow_beyond: Float[Array, ""]
    flow_variance: Float[Array, ""]
    flow_residual: Float[Array, ""]


QUANTITIES: Mapping[str, tuple[bool, Quantity]] = {
    "flow_loss": (True, Quantity("mean loss of the flow's own parameters", "loss")),
    "flow_edge_ratio": (True, Quantity("mean of the sharpness over the threshold")),
    "flow_directions": (False, Quantity("most eigenvalues within 2.5 % of the threshold")),
    "flow_beyond": (False, Quantity("largest eigenvalue left out, over the threshold")),
    "flow_variance": (True, Quantity("mean trace of the covariance", "parameter^2")),
    "flow_residual": (False, Quantity("largest relative residual of the largest eigenvalue")),
}
"""Variables per window: whether their mean is taken or else their maximum, and what they are."""


@dataclass(frozen=True)
class FlowReport(Probe):
    """Means and maxima per window of a central flow's `Report`."""

    name: ClassVar[str] = "flow"

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """All quantities."""
        return {name: quantity for name, (_, quantity) in QUANTITIES.items()}

    def start(self, params: PyTree, state: PyTree) -> Report:
        """Begin the first window."""
        del params
        return Report(*(jnp.zeros_like(x) for x in state.report))

    def step(self, memory: Report, step: Step) -> Report:
        """Add the report of a step: to the sum, or to the maximum, which starts at zero."""
        pairs = zip(memory, step.after.report, QUANTITIES.values(), strict=True)
        return Report(*(x + y if mean else jnp.maximum(x, y) for x, y, (mean, _) in pairs))

    def window(self, memory: Report, end: End) -> tuple[Report, dict[str, Float[Array, ""]]]:
        """Return the means and maxima of a window, and begin the next one."""
        pairs = zip(memory, QUANTITIES.items(), strict=True)
        values = {name: x / end.length if mean else x for x, (name, (mean, _)) in pairs}
        return Report(*(jnp.zeros_like(x) for x in memory)), values
