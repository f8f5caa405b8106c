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
from ..factory import Factory, Hyperparameters
from ..problems.problem import Objective, draw, lowest

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
        """Return the state of one cell before its first step; `noise` draws its mini-batches.

        The last number is the size that the largest parameter has had so far.
        """
        return params, self.build(hyper).init(params), noise, _largest(params)

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
            (params, optimizer_state, noise), running = carry
            update = self.build(fixed | hyper).update
            seen = loss
            if isinstance(loss, Objective) and loss.batch_loss is not None:
                number = noise.step
                noise, now = draw(noise)
                seen = loss.drawn(now, number)
            value, grad = jax.value_and_grad(seen)(params)
            recorded = value if seen is loss else loss(params)
            running = add(running, recorded.astype(dtype), weight, minimum)
            updates, optimizer_state = _updated(
                update, (grad, optimizer_state, params), value, seen
            )
            params = optax.apply_updates(params, updates)
            return (params, optimizer_state, noise), running

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


def _updated(update: Callable, arguments: tuple, value: Any, objective: Loss) -> Any:
    """Call an optimizer's update with what further arguments it takes, as optax names them.

    One that takes any is given the usual ones first, as some refuse those that they do not know.
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


def _largest(params: PyTree) -> Float[Array, ""]:
    """Size of the largest parameter."""
    return jnp.stack([jnp.abs(x).max(initial=0) for x in jax.tree.leaves(params)]).max()


def _cells_together(arrays: PyTree) -> PyTree:
    """Lay arrays `[cells, ...]` out in memory with the cells innermost, for vector registers."""
    return jax.tree.map(
        lambda x: with_layout_constraint(x, Layout((*range(1, x.ndim), 0))) if x.ndim > 1 else x,
        arrays,
    )
