"""How one cell of a discrete optimizer starts, and how it advances by one window of steps."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Bool, Float, Int, PyTree

from ..envelope import Envelope, add, empty, finish
from ..problems.problem import Objective, draw, lowest
from .factory import Factory, Hyperparameters

TINY, UNROLL = 64, 4
"""Problems of at most so many parameters run several steps a turn of the loop, whose overhead
dominates them."""

Loss = Callable[[PyTree], Float[Array, ""]]


@dataclass(frozen=True)
class Discrete(Factory):
    """Any optimizer of the optax protocol as the dynamics of a cell.

    **Arguments:**

    - `factory`: a function of hyper-parameters that returns an `optax.GradientTransformation`:
        `phasejax.adam`, `optax.adamw`, a function of your own.
    - `settings`: arguments of `factory` that no grid varies (`(("nesterov", True),)`). They are
        compiled in.
    """

    def check_values(self, hyper: Mapping[str, float]) -> None:
        """Build the optimizer once with plain numbers, so that it can refuse them."""
        optimizer = self.build(hyper)
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            raise TypeError(
                f"dynamics = {self.name} returned {type(optimizer).__name__}; "
                "it must return an optax.GradientTransformation (a flow also needs its time)"
            )

    def start(self, hyper: Hyperparameters, params: PyTree, key: PyTree = ()) -> PyTree:
        """Return the state of one cell before its first step; `key` draws its mini-batches.

        The last number is the size that the largest parameter has had so far.
        """
        return params, self.build(hyper).init(params), key, _largest(params)

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
        """Advance cells by `length` steps, with the loss before each step's update.

        The last step runs apart, so that it is known how far it goes; the body is compiled once.
        """
        *state, size = state
        params = state[0]
        dtype = jnp.result_type(*jax.tree.leaves(params))
        weight = 1 / length.astype(dtype)
        minimum = None if lowest(loss) is None else jnp.asarray(lowest(loss), dtype)
        tiny = sum(math.prod(x.shape[1:]) for x in jax.tree.leaves(params)) <= TINY
        unroll = UNROLL if tiny else 1

        def step(hyper, carry):
            (params, optimizer_state, key), running = carry
            optimizer = optax.with_extra_args_support(self.build(fixed | hyper))
            seen = loss
            if isinstance(loss, Objective) and loss.batch_loss is not None:
                key, now = draw(key)
                seen = partial(loss.batch_loss, key=now)
            value, grad = jax.value_and_grad(seen)(params)
            recorded = value if seen is loss else loss(params)
            running = add(running, recorded.astype(dtype), weight, minimum)
            updates, optimizer_state = optimizer.update(
                grad, optimizer_state, params, value=value, grad=grad, value_fn=seen
            )
            params = optax.apply_updates(params, updates)
            return (params, optimizer_state, key), running

        def steps(count):
            def several(_, carry):
                carry = _cells_together(carry) if tiny else carry
                for _ in range(count):
                    carry = jax.vmap(step)(hyper, carry)
                return _cells_together(carry) if tiny else carry

            return several

        def part(last, before_and_carry):
            """Take all steps but the last, and then that one."""
            _, carry = before_and_carry
            before = carry[0][0]
            count = jnp.where(last, jnp.minimum(length, 1), jnp.maximum(length - 1, 0))
            carry = jax.lax.fori_loop(0, count // unroll, steps(unroll), carry)
            if unroll > 1:
                carry = jax.lax.fori_loop(0, count % unroll, steps(1), carry)
            return before, carry

        cells = jax.tree.leaves(params)[0].shape[0]
        carry = tuple(state), jax.tree.map(lambda x: jnp.broadcast_to(x, cells), empty(dtype))
        before, (state, running) = jax.lax.fori_loop(0, 2, part, (params, carry))
        moved = jax.vmap(_largest)(jax.tree.map(jnp.subtract, state[0], before))
        size = jnp.maximum(size, jax.vmap(_largest)(state[0]))
        relative_step = jnp.where(moved == 0, 0, moved / size).astype(dtype)
        return (*state, size), finish(running, length, relative_step, minimum)

    def ended(self, loss: Loss, state: PyTree) -> Bool[Array, ""]:
        """Say of one cell whether a loss of zero, or one that is not finite, is its last word.

        It is where a parameter is nan, which no update mends; and where the gradient is zero and
        the optimizer's state says by `resting` that it then stays.
        """
        params, optimizer_state, *_ = state
        broken = [jnp.isnan(x).any() for x in jax.tree.leaves(params)]
        pulled = [jnp.any(x != 0) for x in jax.tree.leaves(jax.grad(loss)(params))]
        resting = getattr(optimizer_state, "resting", False)
        return jnp.stack(broken).any() | (~jnp.stack(pulled).any() & resting)


def _largest(params: PyTree) -> Float[Array, ""]:
    """Size of the largest parameter."""
    return jnp.stack([jnp.abs(x).max(initial=0) for x in jax.tree.leaves(params)]).max()


def _cells_together(arrays: PyTree) -> PyTree:
    """Lay arrays `[cells, ...]` out in memory with the cells innermost, for vector registers."""
    return jax.tree.map(
        lambda x: with_layout_constraint(x, Layout((*range(1, x.ndim), 0))) if x.ndim > 1 else x,
        arrays,
    )
