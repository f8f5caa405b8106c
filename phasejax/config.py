"""What a sweep's results say about themselves: the configuration, coordinates and versions."""

import datetime
import importlib.metadata
import platform
from typing import Any

import numpy as np
import xarray as xr

from .dynamics import Flow
from .problems.problem import fingerprint
from .run import Run

FORMAT = 3
"""Of the store: what is in it, beside what the configuration says."""


def configuration(run: Run) -> dict[str, Any]:
    """All that decides the bits of the result on a given machine."""
    dynamics, _ = run.dynamics_split
    return {
        "problem": run.problem.name,
        "problem_arguments": dict(run.problem.config),
        "problem_fingerprint": fingerprint(run.problem, list(run.starts.values())),
        "minimum": run.problem.minimum or 0.0,
        "optimizer": dynamics.name,
        "optimizer_module": getattr(dynamics.factory, "__module__", ""),
        "axes": {
            name: {"values": list(axis.values), "scale": axis.scale, "even": axis.even}
            for name, axis in run.grid.axes.items()
        },
        "fixed": _fixed(run),
        "seeds": run.seeds,
        **_budget(run),
        "windows": run.windows,
        "dtype": run.dtype,
        "device": run.layout.device,
        "batch": run.batch,
        "lanes": run.lanes,
        "tile_shape": list(run.tile_shape),
        "refined_from": dict(run.start),
        "format": FORMAT,
    }


def _budget(run: Run) -> dict[str, Any]:
    """How far the cells go, and by which means."""
    if isinstance(run.dynamics, Flow):
        return {"time": run.extent, **run.dynamics.solver_config}
    return {"steps": run.extent}


def _fixed(run: Run) -> dict[str, Any]:
    """Hyper-parameters that are no axis, the optimizer's defaults included."""
    dynamics, numbers = run.dynamics_split
    fixed = dynamics.defaults() | numbers | dict(dynamics.settings)
    return {
        name: value if isinstance(value, bool | int | float | None) else repr(value)
        for name, value in fixed.items()
        if name not in run.grid.axes
    }


def check_same(run: Run, attributes: dict[str, Any]) -> None:
    """Refuse to resume a store that another configuration wrote."""
    for name, value in configuration(run).items():
        if attributes.get(name) != value:
            raise ValueError(
                f"resume = True: {name} differs, {attributes.get(name)!r} in the store and "
                f"{value!r} now; resume with the same configuration, or overwrite"
            )


def coordinates(run: Run) -> xr.Dataset:
    """Coordinates, initial loss and attributes of the results."""
    axes = {}
    for name, axis in run.grid.axes.items():
        values = np.asarray(axis.values, int if name == "seed" else float)
        axes[name] = (name, values, {"scale": axis.scale})
    seeded = "seed" in axes
    unit = "time" if isinstance(run.dynamics, Flow) else "step"
    return xr.Dataset(
        {
            "initial_loss": (
                ("seed",) if seeded else (),
                run.initial_loss if seeded else run.initial_loss[0],
                {"long_name": "loss at the starting point"},
            )
        },
        coords=axes
        | {
            "window": np.arange(run.windows),
            unit: ("window", run.edges[:-1], {"long_name": f"{unit} where the window begins"}),
        },
        attrs={
            "title": f"{run.dynamics.name} on {run.problem.name}",
            "Conventions": "CF-1.11",
            **configuration(run),
            "lanes_source": run.layout.source,
            **_versions(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "failures": [],
        },
    )


def _versions() -> dict[str, str]:
    packages = ("phasejax", "jax", "jaxlib", "optax", "diffrax", "numpy", "xarray", "zarr")
    versions = {f"{name}_version": importlib.metadata.version(name) for name in packages}
    return versions | {"python_version": platform.python_version(), "host": platform.platform()}
