"""Norms of gradient, update and parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Array, Float, PyTree

from .base import Quantity, Step
from .ranges import PerStep
from .vectors import norm


@dataclass(frozen=True)
class Norms(PerStep):
    """2-norms of the gradient, of the update and of the parameters before it, in every step.

    With mini-batches, the gradient is that of the batch.
    """

    name: ClassVar[str] = "norms"

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Three norms."""
        return {
            "gradient_norm": Quantity("2-norm of the gradient", "loss / parameter"),
            "update_norm": Quantity("2-norm of the update", "parameter"),
            "parameter_norm": Quantity("2-norm of the parameters", "parameter"),
        }

    def measure(self, memory: PyTree, step: Step) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Measure a step."""
        return memory, {
            "gradient_norm": norm(step.grads),
            "update_norm": norm(step.updates),
            "parameter_norm": norm(step.params),
        }
