"""Optimizers and flows by name: phasejax's own, and those of optax and `optax.contrib`."""

import functools
import inspect
from collections.abc import Callable, Iterator
from types import ModuleType

import optax
import optax.contrib

from .._check import ArgumentError, choice
from .adam import adam
from .adam_decays import adam_decays
from .adam_flow import adam_flow
from .base import Dynamics
from .flow import Flow
from .optimizer import Optimizer
from .rmsprop import rmsprop
from .rmsprop_flow import rmsprop_flow
from .scalar_rmsprop import scalar_rmsprop
from .schedules import scheduled
from .signgd_flow import signgd_flow

BUILT_IN: dict[str, Callable] = {
    "adam": adam,
    "adam_decays": adam_decays,
    "rmsprop": rmsprop,
    "scalar_rmsprop": scalar_rmsprop,
}
"""Optimizers of phasejax by name."""
FLOWS: dict[str, Callable] = {
    "adam_flow": adam_flow,
    "rmsprop_flow": rmsprop_flow,
    "signgd_flow": signgd_flow,
}
"""Flows of phasejax by name."""
LIBRARIES = (optax, optax.contrib)
"""Modules whose optimizers are found by name."""


def by_name(name: str) -> Dynamics:
    """Return an optimizer or a flow: `adam`, `adamw`, `optax.adam`, `optax.contrib.prodigy`.

    A short name is looked up in phasejax, then in optax, then in `optax.contrib`. With a schedule
    of the learning rate: `adamw+warmup_cosine`. Raises a `ValueError` for an unknown name.
    """
    name, plus, schedule = name.partition("+")
    short: dict[str, Callable] = {}
    for key, value in long_names().items():
        short.setdefault(key.rpartition(".")[2], value)
    known = short | long_names()
    if name not in known and _is_function(name):
        raise ArgumentError(
            "optimizer",
            f" = {name!r}: is not an optimizer; write a function that builds one with it, in a "
            "file, and pass FILE.py:FUNCTION",
        )
    choice("optimizer", name, known)
    if plus:
        return Optimizer.of(scheduled(known[name], schedule))
    return as_dynamics(known[name], "time" if known[name] in FLOWS.values() else "step")


def as_dynamics(dynamics: Callable | Dynamics, unit: str) -> Dynamics:
    """Wrap a function of hyper-parameters: in time as a `Flow`, in steps as an `Optimizer`.

    A `Dynamics` is returned unchanged.
    """
    if isinstance(dynamics, Dynamics):
        return dynamics
    return (Flow if unit == "time" else Optimizer).of(dynamics)


@functools.cache
def long_names() -> dict[str, Callable]:
    """Return all optimizers and flows by their full names, such as `optax.adam`."""
    own = {f"phasejax.{key}": value for key, value in (BUILT_IN | FLOWS).items()}
    return own | {
        f"{library.__name__}.{key}": value
        for library in LIBRARIES
        for key, value in _optimizers(library)
    }


def namesakes(factory: Callable) -> dict[str, Callable]:
    """Return the other optimizers with the same short name, by their full names."""
    short = getattr(factory, "__name__", "")
    names = long_names().items()
    return {k: v for k, v in names if k.rpartition(".")[2] == short and v is not factory}


def _optimizers(library: ModuleType) -> Iterator[tuple[str, Callable]]:
    """Find the functions that return an optimizer and do not require another transformation.

    An optimizer has a learning rate (`max_learning_rate` in `polyak_sgd`). Some transformations
    that are only parts of an optimizer have one too; optax calls these `scale_by_...`.
    """
    for name, value in vars(library).items():
        if not (inspect.isfunction(value) or isinstance(value, functools.partial)):
            continue
        parameters = inspect.signature(value).parameters.values()
        rated = any(p.name.endswith("learning_rate") for p in parameters)
        required = [str(p.annotation) for p in parameters if p.default is p.empty]
        wraps = any("GradientTransformation" in annotation for annotation in required)
        if rated and not wraps and not name.startswith(("_", "scale_by_")):
            yield name, value


def _is_function(name: str) -> bool:
    """Say whether optax has a public function of this name."""
    module, _, short = name.rpartition(".")
    libraries = [library for library in LIBRARIES if module in ("", library.__name__)]
    return any(inspect.isfunction(vars(library).get(short)) for library in libraries)
