"""Optimizers of the optax protocol as the dynamics of a cell."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

from ..factory import Hyperparameters
from ..probes.base import Loss
from ..problems.problem import has_batches
from .rest import rests
from .steps import ObservedSteps


@dataclass(frozen=True, eq=False)
class Optimizer(ObservedSteps):
    """Any optimizer of the optax protocol as the dynamics of a cell.

    **Arguments:**

    - `factory`: a function of hyper-parameters that returns an `optax.GradientTransformation`:
        `phasejax.adam`, `optax.adamw`, a function of your own.
    - `settings`: arguments of `factory` that no grid varies (`(("nesterov", True),)`). They are
        compiled in.
    """

    def check_values(self, hyper: Hyperparameters) -> None:
        """Build the optimizer once with plain values, so that it can refuse them."""
        optimizer = self.build_plain(hyper)
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            raise TypeError(
                f"dynamics = {self.name} returned {type(optimizer).__name__}; "
                "it must return an optax.GradientTransformation (a flow also needs its time)"
            )

    def init(self, rule: optax.GradientTransformation, params: PyTree) -> PyTree:
        """Return the optimizer's state."""
        return rule.init(params)

    def observed_step(
        self,
        rule: optax.GradientTransformation,
        loss: Loss,
        params: PyTree,
        state: PyTree,
        key: Any,
    ) -> tuple[Float[Array, ""], PyTree, PyTree, PyTree, PyTree]:
        """Take one step; the update is as the optimizer made it, before it was added."""
        del key
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = _updated(rule.update, (grads, state, params), value, loss)
        return value, optax.apply_updates(params, updates), state, grads, updates

    def ended(self, loss: Loss, hyper: Hyperparameters, state: PyTree) -> Bool[Array, ""]:
        """Say whether the loss of one cell can no longer change.

        It cannot if a parameter is nan, which no update changes, or if the gradient and all
        updates to come are zero. With mini-batches the gradients to come are unknown.
        """
        params, optimizer_state, *_ = state
        broken = jnp.stack([jnp.isnan(x).any() for x in jax.tree.leaves(params)]).any()
        if has_batches(loss):
            return broken
        grads = jax.grad(loss)(params)
        pulled = jnp.stack([jnp.any(x != 0) for x in jax.tree.leaves(grads)]).any()
        rule = self.build(hyper)

        def update(optimizer_state: PyTree) -> tuple[PyTree, PyTree]:
            zeros = jax.tree.map(jnp.zeros_like, params)
            value = jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))
            return _updated(rule.update, (zeros, optimizer_state, params), value, loss)

        return broken | (~pulled & rests(update, optimizer_state))


def optimizer_of(optimizer: Any) -> Optimizer:
    """Return a given optimizer; raises a `TypeError` for what is no function."""
    if not callable(optimizer):
        raise TypeError(
            f"optimizer = {optimizer!r} must be a function of hyper-parameters that returns an "
            "optax.GradientTransformation, such as phasejax.rmsprop or optax.sgd"
        )
    return Optimizer.of(optimizer)


def _updated(update: Callable, arguments: tuple, value: Any, objective: Loss) -> Any:
    """Call an optimizer's update with the extra arguments that it takes, as optax names them.

    An update that accepts any extra arguments receives the usual ones first, because some raise an
    error for arguments that they do not know.
    """
    usual = {"value": value, "grad": arguments[0], "value_fn": objective}
    more = {"obj_fn": objective, "grad_fn": lambda params, *_: jax.grad(objective)(params)}
    taken = inspect.signature(update).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return update(*arguments, **{n: v for n, v in (usual | more).items() if n in taken})
    try:
        return update(*arguments, **usual)
    except Exception as error:
        try:
            return update(*arguments, **usual, **more)
        except Exception:
            raise error from None
