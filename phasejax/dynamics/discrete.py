"""How one cell of a discrete optimizer starts, and how it advances by one window of steps."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from .._check import choice
from ..envelope import Envelope, add, empty, finish

TINY, UNROLL = 64, 4
"""Problems of at most so many parameters have their loop unrolled: its overhead dominates them."""

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
        self, loss: Loss, hyper: Hyperparameters, state: PyTree, steps: Int[Array, ""]
    ) -> tuple[PyTree, Envelope]:
        """Advance one cell by one window; the losses are those before each step's update."""
        optimizer = optax.with_extra_args_support(self.optimizer(hyper))
        dtype = jnp.result_type(*jax.tree.leaves(state[0]))
        weight = 1 / steps.astype(dtype)

        def step(_, carry):
            (params, optimizer_state), running = carry
            value, grad = jax.value_and_grad(loss)(params)
            updates, optimizer_state = optimizer.update(
                grad, optimizer_state, params, value=value, grad=grad, value_fn=loss
            )
            params = optax.apply_updates(params, updates)
            return (params, optimizer_state), add(running, value.astype(dtype), weight)

        def several(_, carry):
            for _ in range(unroll):
                carry = step(_, carry)
            return carry

        unroll = UNROLL if sum(x.size for x in jax.tree.leaves(state[0])) <= TINY else 1
        carry = jax.lax.fori_loop(0, steps // unroll, several, (state, empty(dtype)))
        if unroll > 1:
            carry = jax.lax.fori_loop(0, steps % unroll, step, carry)
        state, running = carry
        return state, finish(running, steps)

    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.factory).parameters
