"""Metadata of the results of a sweep: configuration, coordinates and versions."""

import datetime
import importlib.metadata
import os
import platform
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr

from .._check import ArgumentError
from ..grid import Axis
from ..identity import arrays_digest, identify
from ..problems import BUILT_IN, Problem
from ..problems.problem import fingerprint, trace_of
from ..results.format import ENVELOPE_ATTRIBUTES, FORMAT
from .placement import Placement
from .spec import Spec

SAME = 1e-6
"""Largest relative difference of initial losses and gradients by rounding on another processor."""
SHOWN = 200
"""Most characters of a value that an error shows."""


def configuration(spec: Spec, placement: Placement) -> dict[str, Any]:
    """Everything that decides the bits of the result on a given machine."""
    dynamics = spec.dynamics
    return {
        "format": FORMAT,
        "problem": spec.problem.name,
        "problem_builtin": built_in_name(spec.problem),
        "problem_arguments": dict(spec.problem.config),
        "problem_fingerprint": spec.fingerprint,
        **({} if spec.problem.minimum is None else {"minimum": spec.problem.minimum}),
        "optimizer": dynamics.name,
        "optimizer_module": getattr(dynamics.factory, "__module__", ""),
        "dynamics": type(dynamics).__name__,
        "axes": {name: _described(axis) for name, axis in spec.grid.axes.items()},
        "fixed": {name: identify(value) for name, value in _fixed(spec).items()},
        "no_plain_values": _no_plain_values(spec),
        **dynamics.config,
        "optimizer_fingerprint": programs_digest(spec),
        "seeds": spec.seeds,
        "steps" if dynamics.unit == "step" else "time": spec.horizon,
        "unit": dynamics.unit,
        "horizon": spec.horizon,
        **({"measured": _measured(spec)} if dynamics.measured_variables else {}),
        "windows": spec.windows,
        "dtype": spec.dtype,
        "device": placement.device,
        "slots": placement.slots,
        "block_size": placement.block_size,
        "tile_shape": list(placement.tile_shape),
        "refined_from": dict(spec.refined_from),
    }


def _described(axis: Axis) -> dict[str, Any]:
    """An axis in JSON; one of names also has the identities of its values."""
    described = {"values": axis.labels, "scale": axis.scale, "even": axis.even}
    if axis.scale == "category":
        described["identities"] = [identify(value) for value in axis.values]
    return described


def _measured(spec: Spec) -> list[str]:
    """Names of the variables that probes add to the results."""
    return [*spec.dynamics.measured_variables, *spec.dynamics.cell_variables]


def curve_attributes(spec: Spec) -> dict[str, dict[str, Any]]:
    """Attributes of the variables per window, by name."""
    of_loss = {name: ENVELOPE_ATTRIBUTES[name] for name in spec.dynamics.window_variables}
    measured = spec.dynamics.measured_variables
    return of_loss | {name: dict(of._asdict()) for name, of in measured.items()}


def _fixed(spec: Spec) -> dict[str, Any]:
    """Hyper-parameters that are not axes, the defaults of the dynamics included."""
    values = {**spec.dynamics.defaults(), **dict(spec.dynamics.settings), **spec.grid.fixed}
    return {name: v for name, v in values.items() if name not in (*spec.grid.axes, "seed")}


def _no_plain_values(spec: Spec) -> dict[str, bool]:
    """Fixed hyper-parameters stored by identity: whether each was given, or is a default."""
    given = {**dict(spec.dynamics.settings), **spec.grid.fixed}
    return {
        name: name in given
        for name, value in _fixed(spec).items()
        if not isinstance(value, bool | int | float | str | None)
    }


def programs_digest(spec: Spec) -> str:
    """Digest of what all programs compute, with the loss and for every structure."""
    traces = spec.structure.traces
    return arrays_digest(*(np.frombuffer(trace.encode(), np.uint8) for trace in traces))


def built_in_name(problem: Problem) -> str:
    """Name of the function of `phasejax.problems` that makes a problem; "" if none does."""
    if problem.name not in BUILT_IN:
        return ""
    try:
        same = BUILT_IN[problem.name](**problem.config)
        parts = [(p.objective, p.parts.params) for p in (problem, same)]
        ours = eqx.tree_equal(*parts) or _fingerprint(problem) == _fingerprint(same)
    except Exception:  # the user's own problem, with other arguments
        return ""
    return problem.name if ours else ""


def _fingerprint(problem: Problem) -> str:
    """Return the fingerprint of a problem with its first starting point."""
    params = problem.parts.params
    return fingerprint(trace_of(problem, params), [params])


def check_same(spec: Spec, placement: Placement, stored: xr.Dataset) -> None:
    """Refuse to resume a store that another configuration wrote."""
    attributes = stored.attrs
    if attributes.get("format") != FORMAT:
        raise ArgumentError(
            "resume",
            " = True: an earlier version of phasejax wrote the store (its format is "
            f"{attributes.get('format')}, now {FORMAT}), which can be read, but not resumed: "
            "overwrite it, or choose another path",
        )
    for name, value in configuration(spec, placement).items():
        if attributes.get(name) != value:
            raise ArgumentError(
                "resume",
                f" = True: {_difference(name, attributes.get(name), value)}"
                f"{_why(name, attributes)}; resume with the same configuration, or overwrite",
            )
    for name in ("initial_loss", "initial_gradient_norm"):
        before, now = np.atleast_1d(stored[name].values), getattr(spec, name)
        if not np.allclose(before, now, rtol=SAME, atol=0, equal_nan=True):
            raise ArgumentError(
                "resume",
                f" = True: {name} differs, {before.tolist()} in the store and "
                f"{now.tolist()} now; resume with the same problem, or overwrite",
            )


def _difference(name: str, before: Any, now: Any) -> str:
    """Describe a difference; in a mapping, such as the axes, the first one."""
    if isinstance(before, dict) and isinstance(now, dict):
        part = next(key for key in {**before, **now} if before.get(key) != now.get(key))
        return _difference(f"{name} differs: {part}", before.get(part), now.get(part))
    said = name if "differs" in name else f"{name} differs"
    return f"{said}, {repr(before)[:SHOWN]} in the store and {repr(now)[:SHOWN]} now"


def _why(name: str, attributes: dict[str, Any]) -> str:
    """Explain the difference of a fingerprint; "" for anything else."""
    here = importlib.metadata.version("jax")
    if not name.endswith("fingerprint"):
        return ""
    if attributes.get("jax_version") != here:
        return f" (it depends on JAX: {attributes.get('jax_version')} then, {here} now)"
    what = "loss, its data or its start" if name.startswith("problem") else "optimizer's function"
    return f" (the {what} has changed)"


def coordinates(spec: Spec, placement: Placement) -> xr.Dataset:
    """Coordinates, initial loss and attributes of the results."""
    axes = {}
    for name, axis in spec.grid.axes.items():
        values = np.asarray(axis.labels, _coordinate_dtype(spec, name, axis))
        axes[name] = (name, values, {"scale": axis.scale})
    seeded = "seed" in axes
    unit = spec.dynamics.unit
    at_start = {
        "initial_loss": (spec.initial_loss, "loss at the starting point"),
        "initial_gradient_norm": (
            spec.initial_gradient_norm,
            "2-norm of the gradient at the starting point",
        ),
    }
    return xr.Dataset(
        {
            name: (("seed",) if seeded else (), v if seeded else v[0], {"long_name": long_name})
            for name, (v, long_name) in at_start.items()
        },
        coords=axes
        | {
            "window": np.arange(spec.windows),
            unit: ("window", spec.edges[:-1], {"long_name": f"{unit} where the window begins"}),
        },
        attrs={
            "title": f"{spec.dynamics.name} on {spec.problem.name}",
            "Conventions": "CF-1.11",
            **configuration(spec, placement),
            "block_size_source": placement.source,
            "given": sorted(name for name in spec.grid.fixed if name != "seed"),
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
            **versions(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "failures": [],
        },
    )


def _coordinate_dtype(spec: Spec, name: str, axis: Axis) -> Any:
    """Dtype of an axis: numbers are floats, except seeds and integers that are compiled in."""
    if axis.scale == "category":
        return bool if isinstance(axis.labels[0], bool) else np.dtypes.StringDType()
    integral = all(isinstance(value, int) for value in axis.values)
    return int if integral and name in ("seed", *spec.structure.axes) else float


def versions() -> dict[str, str]:
    """Versions of the packages and of Python, and the operating system."""
    packages = ("phasejax", "jax", "jaxlib", "optax", "diffrax", "numpy", "xarray", "zarr")
    versions = {f"{name}_version": importlib.metadata.version(name) for name in packages}
    return versions | {"python_version": platform.python_version(), "host": platform.platform()}
