"""The loss on held-out data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array, Float, PyTree

from .._check import ArgumentError
from ..problems.problem import Objective, Problem
from .base import End, Probe, Quantity


@dataclass(frozen=True)
class Validation(Probe):
    """The loss on held-out data at the end of every window: `validation_loss` of the problem.

    A sweep in steps measures it without being asked, if the problem has held-out data.
    """

    name: ClassVar[str] = "validation"

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """One loss."""
        text = "loss on held-out data at the end of the window"
        return {"validation_loss": Quantity(text, "loss")}

    def check(self, problem: Problem, params: PyTree[np.ndarray], dtype: str) -> None:
        """Refuse a problem without held-out data."""
        del params, dtype
        if problem.validation_loss is None:
            said = f" = {self.name}: problem '{problem.name}' has no validation_loss"
            raise ArgumentError("probes", said)

    def start(self, params: PyTree, state: PyTree) -> tuple[()]:
        """Remember nothing."""
        return ()

    def window(self, memory: tuple[()], end: End) -> tuple[tuple[()], dict[str, Any]]:
        """Evaluate the loss."""
        assert isinstance(end.loss, Objective)
        value: Float[Array, ""] = end.loss.held_out(end.params)
        return memory, {"validation_loss": value}
