"""The spike predictor: curvature along the gradient, as the optimizer sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from .._check import ArgumentError, whole
from ..problems.problem import Problem
from .base import End, Quantity, Step
from .differentiable import check_second_derivative
from .filter import threshold
from .ranges import PerStep
from .response import Kind, Unknown, kinds_of, respond
from .vectors import dot

FEWEST = 3
"""Crossings in the last half of a run from which on they have a period."""


class Crossings(NamedTuple):
    """How long the predictor has been above 1, and its sustained crossings in this window.

    - `above`: steps in a row above 1, up to this one.
    - `number`: crossings in this window; `last`: step of the latest one, nan if there is none.
    - `now`: number of the step.
    """

    above: Int[Array, ""]
    number: Float[Array, ""]
    last: Float[Array, ""]
    now: Int[Array, ""]


@dataclass(frozen=True)
class SpikePredictor(PerStep):
    r"""Spike predictor λ_grad of every step, over the threshold, and its crossings of 1.

    $$\lambda_\text{grad} = \frac{(d \circ g)^\top H g}{\|g\|^2}$$

    with the effective steps d and the threshold as in `Sharpness`. For Adam this is the predictor
    of arXiv 2506.04805 over 2/η, of which a spike follows if it stays above 1: the sharpness may be
    at its threshold long before the gradient has turned to the sharp direction. Each step takes one
    product with the Hessian; with mini-batches, of the batch's loss.

    A crossing is counted when the predictor has been above 1 for `sustained` steps in a row, and
    not again before it has fallen below. `crossing_period` of a cell is the mean number of steps
    between the crossings of the last half of the run, nan if there are fewer than three. With
    `sustained=1` it is how arXiv 2609.18314 counts the period of spikes on toys; unlike
    `spike_period`, which is that of a curve in windows, it can be as short as two steps.

    **Arguments:**

    - `sustained`: steps in a row, at least 1.
    - `kinds`: what `bind` found out about the optimizer.
    """

    name: ClassVar[str] = "predictor"
    of_optimizer = True
    sustained: int = 3
    kinds: tuple[Kind, ...] = ()

    def __post_init__(self) -> None:
        whole("sustained", self.sustained)

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """One ratio."""
        return {"predictor": Quantity("spike predictor over the optimizer's threshold")}

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """The range of the ratio, and its crossings."""
        return {
            **super().variables,
            "predictor_crossings": Quantity("sustained crossings of 1 by the spike predictor"),
            "predictor_last_crossing": Quantity("step of the latest crossing", "step"),
        }

    @property
    def cell_variables(self) -> Mapping[str, Quantity]:
        """How often the predictor crosses 1 at the end of the run."""
        text = "mean distance of the spike predictor's crossings of 1, last half of the run"
        return {"crossing_period": Quantity(text, "steps")}

    @property
    def config(self) -> Any:
        """Settings."""
        return {"sustained": self.sustained}

    def check(self, problem: Problem, params: PyTree[np.ndarray], dtype: str) -> None:
        """Refuse a loss without second derivatives."""
        check_second_derivative(self.name, problem, params, dtype)

    def bind(self, rule: Any, params: PyTree[np.ndarray], state: PyTree) -> "SpikePredictor":
        """Find out what the optimizer's state is made of, or refuse it."""
        del state
        try:
            return replace(self, kinds=kinds_of(rule, params))
        except Unknown as reason:
            said = f" = {self.name}: has no threshold for this optimizer: {reason}; leave it out"
            raise ArgumentError("probes", said) from None

    def remember(self, params: PyTree, state: PyTree) -> Crossings:
        """Begin below 1."""
        del state
        dtype = jnp.result_type(*jax.tree.leaves(params))
        zero, none = jnp.zeros((), jnp.int32), jnp.zeros((), dtype)
        return Crossings(zero, none, none + jnp.nan, zero)

    def measure(self, memory: Crossings, step: Step) -> tuple[Crossings, dict[str, Any]]:
        """Measure a step."""
        response = respond(step.rule, self.kinds, step.before, step.params, step.grads)
        flat, unflatten = ravel_pytree(step.grads)
        largest = jnp.max(jnp.abs(flat))  # no square underflows
        scaled = flat / jnp.where(largest > 0, largest, 1)
        unit = scaled / jnp.sqrt(scaled @ scaled)
        curved = jax.jvp(jax.grad(step.loss), (step.params,), (unflatten(unit),))[1]
        stepped = unflatten(response.gain * unit)
        ratio = dot(stepped, curved) / threshold(response.filter)
        ratio = jnp.where(response.known, ratio, jnp.nan)
        above = jnp.where(ratio > 1, memory.above + 1, 0)
        crossed = above == self.sustained
        return Crossings(
            above,
            memory.number + crossed,
            jnp.where(crossed, memory.now, memory.last).astype(memory.last.dtype),
            memory.now + 1,
        ), {"predictor": ratio}

    def window(self, memory: PyTree, end: End) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Return the ranges and crossings of a window."""
        (crossings, ranges), values = super().window(memory, end)
        values["predictor_crossings"] = crossings.number
        values["predictor_last_crossing"] = crossings.last
        fresh = crossings._replace(number=crossings.number * 0, last=crossings.last * jnp.nan)
        return (fresh, ranges), values

    def describe(
        self, measured: Mapping[str, Float[np.ndarray, "cells window"]], edges: np.ndarray
    ) -> dict[str, Float[np.ndarray, " cells"]]:
        """Return the steps of the last half of the windows per crossing."""
        half = (len(edges) - 1) // 2
        crossings = np.nansum(measured["predictor_crossings"][:, half:], axis=1)
        steps = edges[-1] - edges[half]
        return {"crossing_period": steps / np.where(crossings >= FEWEST, crossings, np.nan)}
