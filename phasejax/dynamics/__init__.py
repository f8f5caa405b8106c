"""How one cell evolves."""

import inspect
from collections.abc import Callable

import optax

from .._check import choice
from .adam import adam as adam
from .adam_flow import adam_flow as adam_flow
from .discrete import Discrete as Discrete
from .flow import Flow as Flow
from .rmsprop import rmsprop as rmsprop
from .rmsprop_flow import rmsprop_flow as rmsprop_flow
from .signgd_flow import signgd_flow as signgd_flow
from .vector_field import VectorField as VectorField

BUILT_IN: dict[str, Callable] = {"adam": adam, "rmsprop": rmsprop}
FLOWS: dict[str, Callable] = {
    "adam_flow": adam_flow,
    "rmsprop_flow": rmsprop_flow,
    "signgd_flow": signgd_flow,
}


def by_name(name: str) -> Discrete | Flow:
    """Find an optimizer (phasejax's own, or optax's: `adamw`; `optax.adam` where both have it)
    or a flow.
    """
    theirs = {
        key: value
        for key, value in vars(optax).items()
        if inspect.isfunction(value) and "learning_rate" in inspect.signature(value).parameters
    }
    known = {f"optax.{key}": value for key, value in theirs.items()} | theirs | BUILT_IN | FLOWS
    choice("optimizer", name, known)
    return Flow.of(FLOWS[name]) if name in FLOWS else Discrete.of(known[name])
