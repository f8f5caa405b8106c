"""Probes by name, and what a user may give for one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._check import ArgumentError, bad, choice
from .base import Probe
from .cosine import Cosine
from .edge import RealisedEdge
from .lyapunov import Lyapunov
from .moments import Moments
from .norms import Norms
from .period import Period
from .predictor import SpikePredictor
from .ranges import Function
from .sharpness import Sharpness
from .validation import Validation

PROBES = (
    Norms,
    RealisedEdge,
    Cosine,
    Moments,
    Sharpness,
    SpikePredictor,
    Period,
    Lyapunov,
    Validation,
)
BUILT_IN: dict[str, Callable[..., Probe]] = {probe.name: probe for probe in PROBES}
"""Probes with their default settings by name."""


def as_probes(given: Any) -> list[Probe]:
    """Return the probes that a user gave: names, probes and functions in a list.

    Raises a `ValueError` or a `TypeError` that names `probes`.
    """
    if isinstance(given, str | Probe) or callable(given) or not isinstance(given, Sequence):
        raise TypeError(f"probes = {given!r}: must be a list of names, probes and functions")
    probes = [_as_probe(one) for one in given]
    names = [probe.name for probe in probes]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError("probes", f" = {names}: {name} is given twice")
    return probes


def recorded_probes(config: Mapping[str, Mapping[str, Any]]) -> list[Probe]:
    """Return the probes of a sweep, from the attribute `probes` of its results.

    Raises a `ValueError` for a function of the user's, of which results have only the name.
    """
    own = [name for name in config if name not in BUILT_IN]
    if own:
        allowed = "built in; for a function of your own, use phasejax.sweep in Python"
        raise bad("probes", own, allowed)
    return [BUILT_IN[name](**settings) for name, settings in config.items()]


def _as_probe(given: Any) -> Probe:
    if isinstance(given, Probe):
        return given
    if isinstance(given, str):
        choice("probes", given, BUILT_IN)
        return BUILT_IN[given]()
    if not callable(given) or isinstance(given, type):
        raise TypeError(
            f"probes = [{given!r}]: must be a name, a phasejax.probes.Probe, or a function of "
            "(params, grads, updates, state)"
        )
    return Function(given)
