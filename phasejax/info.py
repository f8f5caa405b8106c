"""A sweep in words."""

from typing import Any

import numpy as np
import xarray as xr

from ._check import choice
from .refine import COMPUTED
from .regimes import NAMES, NO_REGIME, label_attributes, regime_counts


class Summary(str):
    """A text of several lines that is shown as it is, in a notebook too."""

    def __repr__(self) -> str:
        return str(self)


def summary(dataset: xr.Dataset) -> Summary:
    """Say what was run and how many cells fell into each regime, in a few lines."""
    attrs = dataset.attrs
    lines = [f"{attrs['title']}, {length(attrs)}, {attrs['dtype']}"]
    for name, axis in attrs["axes"].items():
        low, high, count = min(axis["values"]), max(axis["values"]), len(axis["values"])
        lines.append(f"  {name:<14} {low:g} to {high:g}, {count} values, {axis['scale']}")
    for name, value in (attrs["fixed"] | attrs["problem_arguments"]).items():
        lines.append(f"  {name:<14} {value}")
    if attrs.get("minimum"):
        lines.append(f"  {'minimum':<14} {attrs['minimum']:g}, subtracted from the loss")
    lines.append(
        f"  run on         {attrs['device']}, {attrs['lanes']} lanes ({attrs['lanes_source']}) on "
        f"each, phasejax {attrs['phasejax_version']}, jax {attrs['jax_version']}"
    )
    if "solver" in attrs:
        steps = dataset["solver_steps"].values
        steps = steps[np.isfinite(steps)] if np.isfinite(steps).any() else np.zeros(1)
        lines.append(
            f"  solved by      {attrs['solver']}, rtol {attrs['rtol']:g}, atol {attrs['atol']:g}, "
            f"{np.median(steps):,.0f} steps in the median, at most {steps.max():,.0f} of "
            f"{attrs['max_steps']:,}"
        )
    counts = regime_counts(dataset)
    total = sum(counts.values())
    computed = int((dataset["status"] == COMPUTED).sum()) if "status" in dataset else total
    refined = f", {computed} of them computed, the others inferred" if computed < total else ""
    lines.append(f"{total} cells{refined if attrs.get('refined_from') else ''}:")
    lines += [f"  {name:<12} {n:>7}  {n / total:6.1%}" for name, n in counts.items()]
    lines += [f"failed: {failure}" for failure in attrs["failures"]]
    return Summary("\n".join(lines))


def length(attributes: dict[str, Any]) -> str:
    """How long the runs of a sweep are, in words."""
    if "time" in attributes:
        return f"time {attributes['time']:g}"
    return f"{attributes['steps']:,} steps"


def cell(dataset: xr.Dataset, at: dict[str, float]) -> dict[str, Any]:
    """Describe the cell nearest to `at` (by ratio on logarithmic axes): coordinates and label."""
    nearest = {}
    for name, value in at.items():
        choice("at", name, [str(dim) for dim in dataset["regime"].dims])
        values = dataset[name].values
        logarithmic = dataset[name].attrs.get("scale") == "log" and value > 0
        distance = np.abs(np.log(values / value) if logarithmic else values - value)
        nearest[name] = int(distance.argmin())
    chosen = dataset.isel(nearest)
    if chosen["regime"].ndim:
        raise ValueError(f"at = {at}: must give every axis, also {list(chosen['regime'].dims)}")
    code = int(chosen["regime"])
    labels = label_attributes("time" in dataset.attrs)
    return {
        **{str(name): chosen[name].item() for name in dataset["regime"].dims},
        "regime": NO_REGIME.get(code) or NAMES[code],
        **{name: float(chosen[name]) for name in labels if name != "regime" and name in chosen},
    }
