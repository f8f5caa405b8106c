"""How one cell of a discrete optimizer starts, and how it advances by one window of steps."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._check import choice
from ..envelope import Envelope, add, empty, finish

TINY, UNROLL = 64, 4
"""Problems of at most so many parameters run several steps a turn of the loop, whose overhead
dominates them."""

Loss = Callable[[PyTree], Float[Array, ""]]
Hyperparameters = Mapping[str, Any]


@dataclass(frozen=True)
class Discrete:
    """Any optimizer of the optax protocol as the dynamics of a cell.

    **Arguments:**

    - `factory`: a function of hyper-parameters that returns an `optax.GradientTransformation`:
        `phasejax.adam`, `optax.adamw`, a function of your own.
    - `settings`: arguments of `factory` that no grid varies (`(("nesterov", True),)`). They are
        compiled in.
    """

    factory: Callable[..., optax.GradientTransformation]
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, factory: Callable[..., optax.GradientTransformation]) -> "Discrete":
        """Wrap a factory; what a `functools.partial` holds becomes settings."""
        if isinstance(factory, functools.partial) and not factory.args:
            return cls(factory.func, tuple(sorted(factory.keywords.items())))
        if not callable(factory):
            raise TypeError(
                f"dynamics = {factory!r} must be a function of hyper-parameters that returns an "
                "optax.GradientTransformation, such as phasejax.adam or optax.adamw"
            )
        return cls(factory)

    @property
    def name(self) -> str:
        """How results name the optimizer."""
        return getattr(self.factory, "__name__", type(self.factory).__name__)

    def split(self, fixed: Hyperparameters) -> tuple["Discrete", dict[str, float]]:
        """Part fixed hyper-parameters into numbers, which are traced, and compiled-in settings.

        An integer counts as a number unless the optimizer's own default is an integer.
        """
        numbers, settings, defaults = {}, dict(self.settings), self.defaults()
        for name, value in fixed.items():
            integral = isinstance(value, int) and type(defaults.get(name)) is int
            if isinstance(value, bool) or integral or not isinstance(value, int | float):
                settings[name] = value
            else:
                numbers[name] = float(value)
        return Discrete(self.factory, tuple(sorted(settings.items()))), numbers

    def defaults(self) -> dict[str, Any]:
        """Return the arguments that have one, with their defaults."""
        parameters = self._parameters().items()
        return {name: p.default for name, p in parameters if p.default is not p.empty}

    def check_names(self, names: set[str]) -> None:
        """Refuse hyper-parameters the optimizer does not have, or lacks."""
        parameters = self._parameters()
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            for name in sorted(names):
                choice(f"hyper-parameter of {self.name}", name, parameters)
        given = names | dict(self.settings).keys()
        for name, parameter in parameters.items():
            required = parameter.default is parameter.empty
            named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if required and named and name not in given:
                raise ValueError(
                    f"{name} is missing: {self.name} needs it, as an axis or a fixed number"
                )

    def check_values(self, hyper: Mapping[str, float]) -> None:
        """Build the optimizer once with plain numbers, so that it can refuse them."""
        optimizer = self.optimizer(hyper)
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            raise TypeError(
                f"dynamics = {self.name} returned {type(optimizer).__name__}; "
                "it must return an optax.GradientTransformation"
            )

    def optimizer(self, hyper: Hyperparameters) -> optax.GradientTransformation:
        """Build the optimizer of one cell."""
        return self.factory(**hyper, **dict(self.settings))

    def start(self, hyper: Hyperparameters, params: PyTree) -> PyTree:
        """Return the state of one cell before its first step."""
        return params, self.optimizer(hyper).init(params)

    def advance(
        self,
        loss: Loss,
        fixed: Hyperparameters,
        hyper: Hyperparameters,
        state: PyTree,
        length: Int[Array, ""],
    ) -> tuple[PyTree, Envelope]:
        """Advance cells by one window of `length` steps, with the loss before each step's update.

        `hyper` and `state` have a leading axis `[cells]`, and so has the envelope.
        """
        params, _ = state
        dtype = jnp.result_type(*jax.tree.leaves(params))
        weight = 1 / length.astype(dtype)
        tiny = sum(math.prod(x.shape[1:]) for x in jax.tree.leaves(params)) <= TINY
        unroll = UNROLL if tiny else 1

        def step(hyper, carry):
            (params, optimizer_state), running = carry
            optimizer = optax.with_extra_args_support(self.optimizer(fixed | hyper))
            value, grad = jax.value_and_grad(loss)(params)
            updates, optimizer_state = optimizer.update(
                grad, optimizer_state, params, value=value, grad=grad, value_fn=loss
            )
            params = optax.apply_updates(params, updates)
            return (params, optimizer_state), add(running, value.astype(dtype), weight)

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
        params, optimizer_state = state
        broken = [jnp.isnan(x).any() for x in jax.tree.leaves(params)]
        pulled = [jnp.any(x != 0) for x in jax.tree.leaves(jax.grad(loss)(params))]
        resting = getattr(optimizer_state, "resting", False)
        return jnp.stack(broken).any() | (~jnp.stack(pulled).any() & resting)

    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.factory).parameters


def _cells_together(arrays: PyTree) -> PyTree:
    """Lay arrays `[cells, ...]` out in memory with the cells innermost, for vector registers."""
    return jax.tree.map(
        lambda x: with_layout_constraint(x, Layout((*range(1, x.ndim), 0))) if x.ndim > 1 else x,
        arrays,
    )
