"""The angle between successive gradients."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .base import Quantity, Step
from .ranges import PerStep
from .vectors import dot, norm


@dataclass(frozen=True)
class Cosine(PerStep):
    """Cosine of the angle between the gradient of a step and that of the step before.

    −1 is an iterate that jumps to and fro, 1 a smooth path; nan where a gradient is zero.
    """

    name: ClassVar[str] = "cosine"

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """One cosine."""
        return {"gradient_cosine": Quantity("cosine of successive gradients")}

    def remember(self, params: PyTree, state: PyTree) -> PyTree:
        """Begin with no gradient."""
        del state
        return jax.tree.map(jnp.zeros_like, params)

    def measure(self, memory: PyTree, step: Step) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Measure a step; the gradient is remembered at unit length: no product underflows."""
        length = norm(step.grads)
        unit = jax.tree.map(lambda x: x / jnp.where(length > 0, length, 1), step.grads)
        cosine = dot(memory, unit)
        known = (length > 0) & (dot(memory, memory) > 0)
        return unit, {"gradient_cosine": jnp.where(known, cosine, jnp.nan)}
