"""The specification of a stored sweep, from its attributes and what a store cannot hold."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from .._check import ArgumentError, bad
from ..dynamics import Dynamics
from ..dynamics.names import as_dynamics
from ..grid import Grid
from ..probes.names import recorded_probes
from ..problems import Problem
from ..results.axes import fixed_seed
from ..results.rerun import stored_axes, stored_dynamics
from .metadata import programs_digest, versions
from .placement import local_mesh
from .spec import Spec

COMPILER = ("device", "jax_version", "jaxlib_version", "xla_flags", "phasejax_version", "host")
"""Attributes of a sweep that may decide how its programs round."""
DIFFERS = "the loss, its data or its starting points differ"
"""Why a problem is not that of a sweep."""


def recorded_spec(
    attrs: dict[str, Any], problem: Problem, dynamics: Callable | Dynamics | None
) -> Spec:
    """Return the specification of a stored sweep in steps, from its attributes.

    `dynamics` may be left out for an optimizer of phasejax or optax. Raises a `ValueError` if the
    problem or the dynamics computes something else than it did then. A trace by another version of
    JAX cannot tell.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem = {problem!r} must be a phasejax.Problem")
    moving = _stored_dynamics(attrs) if dynamics is None else as_dynamics(dynamics, "step")
    run = attrs["horizon"], attrs["windows"], attrs["dtype"]
    other_jax = attrs["jax_version"] != versions()["jax_version"]
    for grid, used in _grids(attrs, moving):
        spec = Spec(problem, used, grid, *run)
        if spec.fingerprint != attrs["problem_fingerprint"] and not other_jax:
            raise bad("problem", problem, f"that of the sweep, {attrs['problem']!r}; {DIFFERS}")
        if probes := recorded_probes(attrs.get("probes", {})):
            spec = spec.with_probes(probes)
        spec.check()
        if programs_digest(spec) == attrs["optimizer_fingerprint"] or other_jax:
            return spec
    allowed = f"that of the sweep, {attrs['dynamics']} {attrs['optimizer']!r}, and unchanged"
    raise bad("dynamics", moving.name, allowed)


def _stored_dynamics(attrs: dict[str, Any]) -> Dynamics:
    """Return the dynamics of a sweep, if it is an optimizer of phasejax or optax."""
    try:
        return stored_dynamics(attrs)
    except ArgumentError as error:
        allowed = "given, because the sweep's is not one of phasejax or optax"
        raise bad("dynamics", None, f"{allowed}: {attrs['optimizer']}") from error


def _grids(attrs: dict[str, Any], dynamics: Dynamics) -> Iterator[tuple[Grid, Dynamics]]:
    """Yield the grid of a sweep, with the dynamics that has the other values compiled in.

    A store has all fixed values, the defaults of the dynamics among them. One that the grid gave is
    an argument of the program, and a default is compiled in, so the two may round differently. For
    a store of an earlier version, which does not say what was given, both are tried.
    """
    defaults, axes, seed = dynamics.defaults(), stored_axes(attrs), fixed_seed(attrs)
    seeds = {} if seed is None else {"seed": seed}
    settings = dict(dynamics.settings)
    for name, given in attrs.get("no_plain_values", {}).items():
        if given and name not in settings:
            allowed = "given by dynamics = functools.partial(...): a store has only its name"
            raise bad(name, attrs["fixed"][name], allowed)
    plain = [n for n in attrs["fixed"] if n not in attrs.get("no_plain_values", {})]
    fixed = {name: attrs["fixed"][name] for name in plain if name not in settings}
    changed = [n for n, v in fixed.items() if n not in defaults or v != defaults[n]]
    choices = [attrs["given"]] if "given" in attrs else [changed, list(fixed)]
    for chosen in choices:
        in_grid = {name: value for name, value in fixed.items() if name in chosen}
        compiled_in = {name: fixed[name] for name in changed if name not in in_grid}
        yield Grid(**axes, **in_grid, **seeds), dynamics.with_settings(compiled_in)


def differences(attrs: dict[str, Any]) -> str:
    """Say what may make programs round otherwise here than in a stored sweep; "" if nothing."""
    here = {**versions(), "xla_flags": os.environ.get("XLA_FLAGS", "")}
    device = local_mesh().devices.flat[0]
    here["device"] = f"{device.platform} {device.device_kind}"
    then = {name: attrs.get(name) for name in COMPILER}
    then["device"] = attrs["device"].partition(" x ")[2]
    return "; ".join(
        f"{name} {then[name]!r} then, {here[name]!r} now"
        for name in COMPILER
        if then[name] != here[name]
    )
