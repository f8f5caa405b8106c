"""How one cell evolves."""

import inspect
from collections.abc import Callable

import optax

from .._check import choice
from .adam import adam as adam
from .discrete import Discrete as Discrete
from .rmsprop import rmsprop as rmsprop

BUILT_IN: dict[str, Callable] = {"adam": adam, "rmsprop": rmsprop}


def by_name(name: str) -> Discrete:
    """Find an optimizer: phasejax's own, or optax's (`adamw`; `optax.adam` where both have it)."""
    theirs = {
        key: value
        for key, value in vars(optax).items()
        if inspect.isfunction(value) and "learning_rate" in inspect.signature(value).parameters
    }
    known = {f"optax.{key}": value for key, value in theirs.items()} | theirs | BUILT_IN
    choice("optimizer", name, known)
    return Discrete.of(known[name])
