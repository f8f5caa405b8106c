"""How one cell evolves."""

import optax

from .adam import adam as adam
from .discrete import Discrete as Discrete
from .rmsprop import rmsprop as rmsprop

BUILT_IN = {"adam": adam, "rmsprop": rmsprop}


def by_name(name: str) -> Discrete:
    """Find phasejax's own optimizer, or optax's as `optax.adamw`."""
    from .._check import unknown

    own = BUILT_IN.get(name)
    if own is not None:
        return Discrete.of(own)
    factory = getattr(optax, name.removeprefix("optax."), None) if "." in name else None
    if not callable(factory):
        raise unknown("optimizer", name, [*BUILT_IN, *_optax_names()])
    return Discrete.of(factory)
