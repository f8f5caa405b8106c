"""A function of hyper-parameters, and its signature: their names and defaults."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, TypeVar

from ._check import ArgumentError, choice, said
from .identity import identify

Hyperparameters = Mapping[str, Any]
Kind = TypeVar("Kind", bound="Factory")


@dataclass(frozen=True, eq=False)
class Factory:
    """A function of hyper-parameters, with the arguments that are compiled in.

    **Arguments:**

    - `factory`: a function of hyper-parameters that returns the pure functions of a cell:
        an `optax.GradientTransformation`, or a `phasejax.VectorField`.
    - `settings`: arguments of `factory` that no grid varies (`(("nesterov", True),)`). They are
        compiled in. Any value is allowed, hashable or not: `identity.identify` compares them.
    - `trace`: digest of what is computed on a problem, once that is known. A program with another
        digest is compiled again.
    """

    factory: Callable[..., Any]
    settings: tuple[tuple[str, Any], ...] = ()
    trace: str = field(default="", kw_only=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Factory) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @functools.cached_property
    def _key(self) -> tuple:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self), str(identify(values.pop("settings"))), *values.values()

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
        """Name of the dynamics in results."""
        return getattr(self.factory, "__name__", type(self.factory).__name__)

    def missing(self, names: Collection[str]) -> list[str]:
        """Return the arguments without a default that neither `names` nor the settings give."""
        given = {*names, *dict(self.settings)}
        named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        return [
            name
            for name, parameter in self._parameters().items()
            if parameter.default is parameter.empty
            and parameter.kind in named
            and name not in given
        ]

    def with_settings(self: Kind, settings: Mapping[str, Any], trace: str = "") -> Kind:
        """Return the same dynamics with further arguments compiled in."""
        merged = {**dict(self.settings), **settings}
        return replace(self, settings=tuple(sorted(merged.items())), trace=trace)

    def may_be_traced(self, name: str, value: Any) -> bool:
        """Say whether an argument may be a number of the compiled program.

        It may not where the factory's own default is an integer or a bool.
        """
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        return numeric and not isinstance(self.defaults().get(name), int)

    def native(self, name: str, value: Any) -> Any:
        """Return a value in the type of the default: a whole number as an integer."""
        default = self.defaults().get(name)
        integral = isinstance(default, int) and not isinstance(default, bool)
        if integral and isinstance(value, float) and value.is_integer():
            return int(value)
        return value

    def defaults(self) -> dict[str, Any]:
        """Return the default of each argument that has one, by name."""
        parameters = self._parameters().items()
        return {name: p.default for name, p in parameters if p.default is not p.empty}

    def check_names(
        self, names: set[str], namesakes: Mapping[str, Callable[..., Any]] = MappingProxyType({})
    ) -> None:
        """Refuse unknown hyper-parameters, and a missing one without a default.

        `namesakes` are other factories of the same short name, which an error may suggest.
        """
        parameters = self._parameters()
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            for name in sorted(names):
                hint = _instead(namesakes, name, wanted=True)
                choice(f"hyper-parameter of {self.name}", name, parameters, hint and f"{hint};")
        for name in self.missing(names):
            hint = _instead(namesakes, name, wanted=False)
            said = f" is missing: {self.name} needs it, as an axis or a fixed number"
            raise ArgumentError(name, said + (hint and f"; {hint}"))

    def build(self, hyper: Hyperparameters) -> Any:
        """Call the factory for one cell."""
        return self.factory(**hyper, **dict(self.settings))

    def build_plain(self, hyper: Hyperparameters) -> Any:
        """Call the factory with plain values, so that it can refuse them.

        An error that does not name an argument becomes a `TypeError` that names all of them.
        """
        try:
            return self.build(hyper)
        except ArgumentError:
            raise
        except Exception as error:
            raise self.failure({**hyper, **dict(self.settings)}, error) from error

    def failure(self, hyper: Hyperparameters, error: Exception) -> TypeError:
        """Return an error that names the hyper-parameters with which the dynamics fails."""
        shown = ", ".join(f"{name}={getattr(v, '__name__', repr(v))}" for name, v in hyper.items())
        return TypeError(f"dynamics = {self.name} fails with {shown}: {said(error)}")

    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.factory).parameters


def _instead(namesakes: Mapping[str, Callable[..., Any]], argument: str, wanted: bool) -> str:
    """Suggest a namesake that has an argument, or does not need it; "" if there is none."""
    for name, factory in namesakes.items():
        if (argument in inspect.signature(factory).parameters) == wanted:
            return f"{name} {'has' if wanted else 'needs no'} {argument} (--optimizer {name})"
    return ""
