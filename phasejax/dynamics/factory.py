"""A function of hyper-parameters, and what its signature says: names, defaults, what is missing."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from .._check import ArgumentError, choice

Hyperparameters = Mapping[str, Any]
Kind = TypeVar("Kind", bound="Factory")


@dataclass(frozen=True)
class Factory:
    """What `Discrete` and `Flow` share.

    **Arguments:**

    - `factory`: a function of hyper-parameters that returns the two pure functions of a cell:
        an `optax.GradientTransformation`, or a `phasejax.VectorField`.
    - `settings`: arguments of `factory` that no grid varies (`(("nesterov", True),)`). They are
        compiled in.
    """

    factory: Callable[..., Any]
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls: type[Kind], factory: Callable[..., Any]) -> Kind:
        """Wrap a factory; what a `functools.partial` holds becomes settings."""
        if isinstance(factory, functools.partial) and not factory.args:
            return cls(factory.func, tuple(sorted(factory.keywords.items())))
        if not callable(factory):
            raise TypeError(
                f"dynamics = {factory!r} must be a function of hyper-parameters that returns an "
                "optax.GradientTransformation, such as phasejax.adam or optax.adamw, or a "
                "phasejax.VectorField, such as phasejax.adam_flow"
            )
        return cls(factory)

    @property
    def name(self) -> str:
        """How results name the dynamics."""
        return getattr(self.factory, "__name__", type(self.factory).__name__)

    def split(self: Kind, fixed: Hyperparameters) -> tuple[Kind, dict[str, float]]:
        """Part fixed hyper-parameters into numbers, which are traced, and compiled-in settings.

        An integer counts as a number unless the factory's own default is an integer.
        """
        numbers, settings, defaults = {}, dict(self.settings), self.defaults()
        for name, value in fixed.items():
            integral = isinstance(value, int) and type(defaults.get(name)) is int
            if isinstance(value, bool) or integral or not isinstance(value, int | float):
                settings[name] = value
            else:
                numbers[name] = float(value)
        return replace(self, settings=tuple(sorted(settings.items()))), numbers

    def defaults(self) -> dict[str, Any]:
        """Return the arguments that have one, with their defaults."""
        parameters = self._parameters().items()
        return {name: p.default for name, p in parameters if p.default is not p.empty}

    def check_names(self, names: set[str]) -> None:
        """Refuse hyper-parameters the factory does not have, or lacks."""
        parameters = self._parameters()
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            for name in sorted(names):
                hint = self._instead(name, wanted=True)
                choice(f"hyper-parameter of {self.name}", name, parameters, hint and f"{hint};")
        given = names | dict(self.settings).keys()
        for name, parameter in parameters.items():
            required = parameter.default is parameter.empty
            named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if required and named and name not in given:
                hint = self._instead(name, wanted=False)
                said = f" is missing: {self.name} needs it, as an axis or a fixed number"
                raise ArgumentError(name, said + (hint and f"; {hint}"))

    def build(self, hyper: Hyperparameters) -> Any:
        """Call the factory for one cell."""
        return self.factory(**hyper, **dict(self.settings))

    def _instead(self, argument: str, wanted: bool) -> str:
        """Point to an optimizer of the same name that has an argument, or lacks it."""
        from .names import namesakes  # which knows this module

        for name, factory in namesakes(self.factory).items():
            if (argument in inspect.signature(factory).parameters) == wanted:
                return f"{name} {'has' if wanted else 'needs no'} {argument} (--optimizer {name})"
        return ""

    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.factory).parameters
