"""A flow that takes steps, and beside it the optimizer that it describes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ..factory import Hyperparameters
from ..probes.base import End, Loss, Probe, Quantity, Step
from ..problems.problem import Problem
from ..program import Program
from .central_flow import CentralFlow
from .optimizer import Optimizer
from .rod_flow import RodFlow
from .steps import ObservedSteps


class Both(NamedTuple):
    """State of a flow, and parameters and state of the optimizer beside it."""

    flow: PyTree
    params: PyTree
    optimizer: PyTree

    @property
    def report(self) -> PyTree:
        """What a central flow reports of a step."""
        return self.flow.report


@dataclass(frozen=True, eq=False)
class Beside(ObservedSteps):
    """A flow and the optimizer that it describes, which both start at the problem's start.

    Loss, parameters and statistics are those of the flow; `flow_distance` says how far its
    parameters are from the optimizer's (`Distance`).

    **Arguments:**

    - `flow`: a `phasejax.CentralFlow` or a `phasejax.RodFlow`, and `optimizer` the one that it
        describes. `factory` and `settings` are those of the flow.
    """

    flow: CentralFlow | RodFlow = field(kw_only=True)
    optimizer: Optimizer = field(kw_only=True)

    @property
    def name(self) -> str:
        """Name of the flow in results."""
        return self.flow.name

    @property
    def own_probes(self) -> tuple[Probe, ...]:
        """What the flow reports, and the distance."""
        return (*self.flow.own_probes, Distance())

    @property
    def config(self) -> dict[str, Any]:
        """Settings of the flow, and those of probes."""
        return {**self.flow.config, **super().config}

    def build(self, hyper: Hyperparameters) -> tuple[Any, optax.GradientTransformation]:
        """Return the rule of the flow, and the optimizer."""
        return super().build(hyper), self.optimizer.factory(**hyper, **dict(self.settings))

    def check_run(self, problem: Problem, horizon: float, windows: int, dtype: str) -> None:
        """Refuse what the flow refuses."""
        self.flow.check_run(problem, horizon, windows, dtype)
        super().check_run(problem, horizon, windows, dtype)

    def programs(self, hyper: Hyperparameters, params: PyTree, windows: int) -> list[Program]:
        """Return both with what the flow finds out about the optimizer."""
        (flow,) = self.flow.programs(hyper, params, windows)
        return super(Beside, replace(self, flow=flow)).programs(hyper, params, windows)

    def init(self, rule: tuple[Any, optax.GradientTransformation], params: PyTree) -> Both:
        """Return the states of both before the first step."""
        return Both(self.flow.init(rule[0], params), params, rule[1].init(params))

    def observed_step(
        self, rule: Any, loss: Loss, params: PyTree, state: Both, key: Any
    ) -> tuple[Float[Array, ""], PyTree, Both, PyTree, PyTree]:
        """Follow the flow for one step, and take one; gradient and update are the flow's."""
        value, following, flow, grads, updates = self.flow.observed_step(
            rule[0], loss, params, state.flow, key
        )
        _, truth, after, *_ = self.optimizer.observed_step(
            rule[1], loss, state.params, state.optimizer, key
        )
        return value, following, Both(flow, truth, after), grads, updates


class Sums(NamedTuple):
    """Memory of `Distance`: sums over a window, and where both began; flat vectors."""

    flow: Float[Array, " size"]
    optimizer: Float[Array, " size"]
    start: Float[Array, " size"]


@dataclass(frozen=True)
class Distance(Probe):
    """How far the mean parameters of a flow are from those of the optimizer in a window."""

    name: ClassVar[str] = "distance"

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """The distance, relative to how far the optimizer has come."""
        apart = "distance of the flow's mean parameters from the optimizer's"
        return {"flow_distance": Quantity(f"{apart}, over how far these have come")}

    def start(self, params: PyTree, state: PyTree) -> Sums:
        """Begin the first window."""
        del state
        flat, _ = ravel_pytree(params)
        return Sums(jnp.zeros_like(flat), jnp.zeros_like(flat), flat)

    def step(self, memory: Sums, step: Step) -> Sums:
        """Add the parameters before a step."""
        flow, optimizer = ravel_pytree(step.params)[0], ravel_pytree(step.before.params)[0]
        return memory._replace(flow=memory.flow + flow, optimizer=memory.optimizer + optimizer)

    def window(self, memory: Sums, end: End) -> tuple[Sums, dict[str, Float[Array, ""]]]:
        """Return the relative distance of both means, and begin the next window."""
        flow, optimizer = memory.flow / end.length, memory.optimizer / end.length
        apart = jnp.linalg.norm(flow - optimizer) / jnp.linalg.norm(optimizer - memory.start)
        zeros = jax.tree.map(jnp.zeros_like, memory)
        return zeros._replace(start=memory.start), {"flow_distance": apart}
