"""How one cell of a discrete optimizer starts, and how it advances by one window of steps."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Bool, Float, Int, PyTree

from ..envelope import Envelope, add, empty, finish
from ..problems.problem import Sampled, draw
from .factory import Factory, Hyperparameters

TINY, UNROLL = 64, 4
"""Problems of at most so many parameters run several steps a turn of the loop, whose overhead
dominates them."""

Loss = Callable[[PyTree], Float[Array, ""]]


@dataclass(frozen=True, eq=False)
class Discrete(Factory):
    """Any optimizer of the optax protocol as the dynamics of a cell.

    **Arguments:**

    - `factory`: a function of hyper-parameters that returns an `optax.GradientTransformation`:
        `phasejax.adam`, `optax.adamw`, a function of your own.
    - `settings`: arguments of `factory` that no grid varies (`(("nesterov", True),)`). They are
        compiled in.
    """

    def check_values(self, hyper: Hyperparameters) -> None:
        """Build the optimizer once with plain numbers, so that it can refuse them."""
        optimizer = self.build_plain(hyper)
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            raise TypeError(
                f"dynamics = {self.name} returned {type(optimizer).__name__}; "
                "it must return an optax.GradientTransformation (a flow also needs its time)"
            )

    def programs(self, hyper: Hyperparameters, params: PyTree, windows: int) -> list["Discrete"]:
        """Return what is compiled: the optimizer itself."""
        return [self]

    def portion(self, edges: np.ndarray, windows: int, steps: int) -> Int[np.ndarray, "1"]:
        """Numbers of a call that takes so many steps: the length of its one window."""
        return np.array([steps], np.int32)

    def start(self, hyper: Hyperparameters, params: PyTree, noise: PyTree = ()) -> PyTree:
        """Return the state of one cell before its first step; `noise` draws its mini-batches."""
        return params, self.build(hyper).init(params), noise

    def advance(
        self,
        loss: Loss,
        fixed: Hyperparameters,
        hyper: Hyperparameters,
        state: PyTree,
        lengths: Int[Array, " windows"],
    ) -> tuple[PyTree, Envelope]:
        """Advance cells by windows of `lengths` steps; `hyper`, `state` and envelope: `[cells]`."""

        def window(state, length):
            return self._window(loss, fixed, hyper, state, length)

        state, envelope = jax.lax.scan(window, state, lengths)
        return state, jax.tree.map(jnp.transpose, envelope)

    def _window(
        self,
        loss: Loss,
        fixed: Hyperparameters,
        hyper: Hyperparameters,
        state: PyTree,
        length: Int[Array, ""],
    ) -> tuple[PyTree, Envelope]:
        """Advance cells by `length` steps, with the loss before each step's update."""
        params, *_ = state
        dtype = jnp.result_type(*jax.tree.leaves(params))
        weight = 1 / length.astype(dtype)
        tiny = sum(math.prod(x.shape[1:]) for x in jax.tree.leaves(params)) <= TINY
        unroll = UNROLL if tiny else 1

        def step(hyper, carry):
            (params, optimizer_state, noise), running = carry
            update = self.build(fixed | hyper).update
            seen = loss
            if isinstance(loss, Sampled):
                step = noise.step
                noise, now = draw(noise)
                seen = loss.drawn(now, step)
            value, grad = jax.value_and_grad(seen)(params)
            recorded = value if seen is loss else loss(params)
            running = add(running, recorded.astype(dtype), weight)
            extra = _accepted(update, value=value, grad=grad, objective=seen)
            updates, optimizer_state = update(grad, optimizer_state, params, **extra)
            params = optax.apply_updates(params, updates)
            return (params, optimizer_state, noise), running

        def steps(count):
            def several(_, carry):
                carry = _cells_together(carry) if tiny else carry
                for _ in range(count):
                    carry = jax.vmap(step)(hyper, carry)
                return _cells_together(carry) if tiny else carry

            return several

        cells = jax.tree.leaves(params)[0].shape[0]
        carry = state, jax.tree.map(lambda x: jnp.broadcast_to(x, cells), empty(dtype))
        carry = jax.lax.fori_loop(0, length // unroll, steps(unroll), carry)
        if unroll > 1:
            carry = jax.lax.fori_loop(0, length % unroll, steps(1), carry)
        state, running = carry
        return state, finish(running, length)

    def ended(self, loss: Loss, state: PyTree) -> Bool[Array, ""]:
        """Say of one cell whether a loss of zero, or one that is not finite, is its last word.

        It is where a parameter is nan, which no update mends; and where the gradient is zero and
        the optimizer's state says by `resting` that it then stays.
        """
        params, optimizer_state, _ = state
        broken = [jnp.isnan(x).any() for x in jax.tree.leaves(params)]
        pulled = [jnp.any(x != 0) for x in jax.tree.leaves(jax.grad(loss)(params))]
        resting = getattr(optimizer_state, "resting", False)
        return jnp.stack(broken).any() | (~jnp.stack(pulled).any() & resting)


def _accepted(update: Callable, value: Any, grad: PyTree, objective: Loss) -> dict[str, Any]:
    """Further arguments that an optimizer's update takes, by the names that optax gives them."""
    offered = {
        "value": value,
        "grad": grad,
        "value_fn": objective,
        "obj_fn": objective,
        "grad_fn": lambda params, *_: jax.grad(objective)(params),
    }
    taken = inspect.signature(update).parameters
    if any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return offered
    return {name: argument for name, argument in offered.items() if name in taken}


def _cells_together(arrays: PyTree) -> PyTree:
    """Lay arrays `[cells, ...]` out in memory with the cells innermost, for vector registers."""
    return jax.tree.map(
        lambda x: with_layout_constraint(x, Layout((*range(1, x.ndim), 0))) if x.ndim > 1 else x,
        arrays,
    )
