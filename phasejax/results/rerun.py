"""Arguments to run a stored sweep again, or on another window of its plane."""

import dataclasses
from typing import Any

import xarray as xr

from .. import problems
from .._check import ArgumentError, bad, choice
from ..dynamics import Dynamics, by_name
from ..grid import Axis, Grid
from ..probes.names import recorded_probes
from ..problems.problem import fingerprint, initial_params, trace_of
from .axes import fixed_seed

OWN = "for one of your own, use phasejax.zoom and sweep, or phasejax.replay, in Python"
"""What an error says of a problem or an optimizer that a store cannot hold."""


def zoom(dataset: xr.Dataset, **windows: tuple[float, float]) -> Grid:
    """Return the grid of a sweep on a window of its plane, with the original number of values.

    ```python
    pj.sweep(problem, pj.adam, pj.zoom(dataset, a=(1, 3), b=(10, 30)), refine=257)
    ```

    **Arguments:**

    - `dataset`: a sweep.
    - `windows`: for some of its axes, the lowest and the highest value. Other axes and fixed
        hyper-parameters do not change.

    Raises a `ValueError` for a window on an axis that is not one of numbers, and if the sweep has
    functions or other values that a store cannot hold.
    """
    attrs = dataset.attrs
    axes: dict[str, Any] = {}
    for name, axis in stored_axes(attrs).items():
        count = attrs["refined_from"].get(name, len(axis))
        refined = count < len(axis)
        axes[name] = axis.between(min(axis.values), max(axis.values), count) if refined else axis
    for name, (low, high) in windows.items():
        numbers = [n for n, axis in axes.items() if n != "seed" and axis.scale != "category"]
        choice("zoom", name, numbers)
        axes[name] = axes[name].between(low, high, max(len(axes[name]), 2))
    seed = fixed_seed(attrs)
    seeds = {} if seed is None else {"seed": seed}
    others = attrs.get("no_plain_values", {})
    for name in (name for name, given in others.items() if given):
        allowed = "given to phasejax.Grid again: a store holds its name, not its value"
        raise bad(name, attrs["fixed"][name], allowed)
    fixed = {n: v for n, v in attrs["fixed"].items() if v is not None and n not in others}
    return Grid(**axes, **fixed, **seeds)


def stored_axes(attrs: dict[str, Any]) -> dict[str, Axis]:
    """Return the axes of a sweep.

    Raises a `ValueError` for an axis of functions or other values that a store cannot hold.
    """
    axes = {}
    for name, axis in attrs["axes"].items():
        if axis.get("identities", axis["values"]) != axis["values"]:
            allowed = "an axis of numbers, bools or strings; a store cannot hold other values"
            raise bad(name, axis["values"], allowed)
        axes[name] = Axis(tuple(axis["values"]), axis["scale"], axis["even"])
    return axes


def stored_dynamics(attrs: dict[str, Any]) -> Dynamics:
    """Find the optimizer or flow of a sweep; raises a `ValueError` if it is the user's own."""
    library = attrs["optimizer_module"].partition("._")[0]  # optax.contrib in optax.contrib._muon
    prefix = f"{library}." if library.startswith("optax") else ""
    allowed = f"one of phasejax or optax; {OWN}"
    try:
        dynamics = by_name(prefix + attrs["optimizer"])
    except ArgumentError as error:
        raise bad("optimizer", attrs["optimizer"], allowed) from error
    if dynamics.factory.__module__ != attrs["optimizer_module"]:
        raise bad("optimizer", attrs["optimizer"], allowed)
    return dynamics


def arguments_of(dataset: xr.Dataset) -> dict[str, Any]:
    """Return the arguments of `phasejax.sweep` that made a dataset, except grid and store.

    Raises a `ValueError` if the problem or the optimizer is not a built-in one, or has changed
    since.
    """
    attrs = dataset.attrs
    if not attrs.get("problem_builtin", attrs["problem"]):
        raise bad("problem", attrs["problem"], f"one of phasejax; {OWN}")
    choice("problem", attrs["problem"], problems.BUILT_IN)
    problem = problems.BUILT_IN[attrs["problem"]](**attrs["problem_arguments"])
    starts = [initial_params(problem, seed) for seed in dict.fromkeys(attrs["seeds"])]
    if fingerprint(trace_of(problem, starts[0]), starts) != attrs["problem_fingerprint"]:
        raise bad("problem", attrs["problem"], "the same as in the store; its data have changed")
    dynamics = stored_dynamics(attrs)
    settings = {name: attrs[name] for name in dynamics.config}
    return {
        "problem": problem,
        "dynamics": dataclasses.replace(dynamics, **settings),
        "steps" if dynamics.unit == "step" else "time": attrs["horizon"],
        "windows": attrs["windows"],
        "dtype": attrs["dtype"],
        "probes": recorded_probes(attrs.get("probes", {})),
    }
