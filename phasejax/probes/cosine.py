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

    def remember(self, params: PyTree, state: PyTree) -> tuple[PyTree, Float[Array, ""]]:
        """Begin with no gradient, of length zero."""
        del state
        none = jax.tree.map(jnp.zeros_like, params)
        return none, norm(none)

    def measure(
        self, memory: tuple[PyTree, Float[Array, ""]], step: Step
    ) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Measure a step; gradient and length are remembered."""
        before, length_before = memory
        length = norm(step.grads)
        known = (length > 0) & (length_before > 0)
        # One length after the other: their product may be below the smallest number.
        cosine = dot(before, step.grads) / jnp.where(known, length, 1) / length_before
        return (step.grads, length), {"gradient_cosine": jnp.where(known, cosine, jnp.nan)}
