"""The base of all probes: what is measured along a run besides the loss."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from ..problems.problem import Problem

Loss = Callable[[PyTree], Float[Array, ""]]
"""A function from the parameters to the loss."""


class Quantity(NamedTuple):
    """What a variable of the results is: a text for readers, and its unit."""

    long_name: str
    units: str = "1"


class Step(NamedTuple):
    """One step of one cell.

    - `rule`: what the factory returned for the cell, an optimizer of the optax protocol.
    - `loss`: the loss of this step: with mini-batches that of the batch (`batched` is then true).
    - `value`: its value before the step.
    - `params`, `grads`, `updates`: parameters before the step, gradient there, and what the step
        adds to the parameters.
    - `before`, `after`: state of the dynamics before and after the step.
    - `following`: parameters after the step.
    - `move`: the step as a function of (params, state) that returns (params, state).
    """

    rule: Any
    loss: Loss
    batched: bool
    value: Float[Array, ""]
    params: PyTree
    grads: PyTree
    updates: PyTree
    before: PyTree
    after: PyTree
    following: PyTree
    move: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]


class End(NamedTuple):
    """A cell at the end of a window of `length` steps.

    - `loss`: the loss on all data; `batched`: whether steps see mini-batches.
    - `rule`: what the factory returned for the cell, an optimizer of the optax protocol.
    - `params`, `state`: parameters, and state of the dynamics.
    """

    loss: Loss
    batched: bool
    rule: Any
    params: PyTree
    state: PyTree
    length: Int[Array, ""]


class Probe(abc.ABC):
    """What is measured along a run. Its numbers become variables of the results.

    All methods but `check`, `bind` and `describe` are traced for one cell, mapped over cells and
    compiled. A probe is hashable, and equal to another one only if both measure the same: a frozen
    dataclass is.
    """

    name: ClassVar[str]
    of_optimizer: ClassVar[bool] = False
    """Whether it reads an optimizer off its state, which a flow of two steps doesn't have."""

    @property
    @abc.abstractmethod
    def variables(self) -> Mapping[str, Quantity]:
        """Variables with one value per window."""

    @property
    def cell_variables(self) -> Mapping[str, Quantity]:
        """Variables with one value per cell, which `describe` returns."""
        return {}

    @property
    def config(self) -> Any:
        """Settings, as JSON can encode them; results carry them."""
        return {}

    def check(self, problem: Problem, params: PyTree[np.ndarray], dtype: str) -> None:
        """Refuse a problem on which the probe can't measure, and warn of what `dtype` loses.

        `params` is a starting point.
        """
        del problem, params, dtype

    def bind(self, rule: Any, params: PyTree[np.ndarray], state: PyTree) -> "Probe":
        """Return the probe with what it must know of an optimizer before tracing.

        `rule` is what the factory returned for a cell with plain numbers, `state` has the shapes
        and dtypes of the state of the dynamics. Binding a bound probe again gives the same.
        """
        del rule, params, state
        return self

    @abc.abstractmethod
    def start(self, params: PyTree, state: PyTree) -> PyTree:
        """Return the memory of the probe at the start of a cell: a PyTree of arrays."""

    def step(self, memory: PyTree, step: Step) -> PyTree:
        """Return the memory after a step."""
        del step
        return memory

    @abc.abstractmethod
    def window(self, memory: PyTree, end: End) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Return the memory for the next window, and the value of each variable of this one."""

    def describe(
        self, measured: Mapping[str, Float[np.ndarray, "cells window"]], edges: np.ndarray
    ) -> dict[str, Float[np.ndarray, " cells"]]:
        """Return the variables of each cell, from those of its windows.

        `edges` are the first steps of the windows, and the last step of the run.
        """
        del measured, edges
        return {}
