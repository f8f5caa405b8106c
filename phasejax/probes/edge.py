"""The realised edge: the curvature that a step met along its own direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .base import Quantity, Step
from .ranges import PerStep
from .vectors import dot


@dataclass(frozen=True)
class RealisedEdge(PerStep):
    r"""Realised edge ζ of every step: the loss falls if ζ < 1, and rises if ζ > 1.

    For the update Δ, with gᵀΔ < 0 (arXiv 2608.18415),

    $$\zeta = 1 - \frac{L(\theta + \Delta) - L(\theta)}{g^\top \Delta} .$$

    On a quadratic loss this is half the curvature along Δ in units of 1/step, so 1 is where a step
    undoes its own descent. The value is nan where gᵀΔ is not negative: the step goes uphill at
    first. Where the loss changes by less than its rounding, ζ is noise.

    A step's value is known, and counted, at the next step, when its loss is; with mini-batches the
    batch's loss is evaluated once more after the step, which takes about a third of its time.
    """

    name: ClassVar[str] = "edge"

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """One number."""
        return {"realised_edge": Quantity("realised edge")}

    def remember(self, params: PyTree, state: PyTree) -> PyTree:
        """Begin with no step: a slope of zero counts as uphill."""
        del state
        zero = dot(params, params) * 0
        return zero, zero

    def measure(self, memory: PyTree, step: Step) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Measure the step before, or with mini-batches this one."""
        slope = dot(step.grads, step.updates)
        if step.batched:
            return memory, {"realised_edge": _edge(step.loss(step.following) - step.value, slope)}
        before, slope_before = memory
        edge = _edge(step.value - before, slope_before)
        return (step.value.astype(slope.dtype), slope), {"realised_edge": edge}


def _edge(rise: Float[Array, ""], slope: Float[Array, ""]) -> Float[Array, ""]:
    downhill = slope < 0
    return jnp.where(downhill, 1 - rise / jnp.where(downhill, slope, -1), jnp.nan)
