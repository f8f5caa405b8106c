"""A sweep, and one of its cells, described in text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from .._check import ArgumentError, choice, swept
from ..regimes import LABELS, NAMES, NO_REGIME, regime_counts
from ..regimes.codes import COMPUTED
from ..regimes.explain import explain
from ..regimes.mechanism import is_probed, mechanism
from .axes import index_of, value_text


class Summary(str):
    """A text of several lines that is shown as it is, in a notebook too."""

    def __repr__(self) -> str:
        return str(self)


def summary(dataset: xr.Dataset) -> Summary:
    """Say what was run and how many cells fell into each regime, in a few lines."""
    swept(dataset, "regime")
    attrs = dataset.attrs
    lines = [f"{attrs['title']}, {length(attrs)}, {attrs['dtype']}"]
    for name, axis in attrs["axes"].items():
        if name in dataset.dims or name not in dataset.coords:
            lines.append(f"  {name:<14} {_extent(**axis)}")
        else:
            lines.append(f"  {name:<14} {value_text(dataset[name].item())}, selected")
    for name, value in (attrs["fixed"] | attrs["problem_arguments"]).items():
        lines.append(f"  {name:<14} {value}")
    if attrs.get("minimum"):
        lines.append(f"  {'minimum':<14} {attrs['minimum']:g}, subtracted from the loss")
    lines.append(
        f"  run on         {attrs['device']}, blocks of {attrs['block_size']} "
        f"({attrs['block_size_source']}), phasejax {attrs['phasejax_version']}, "
        f"jax {attrs['jax_version']}"
    )
    if attrs.get("xla_flags"):
        lines.append(f"  XLA flags      {attrs['xla_flags']}")
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
    computed = int((dataset["status"] == COMPUTED).sum())
    refined = f", {computed} of them computed, the others inferred" if computed < total else ""
    lines.append(f"{total} cells{refined if attrs.get('refined_from') else ''}:")
    lines += [f"  {name:<12} {n:>7}  {n / total:6.1%}" for name, n in counts.items()]
    lines += [f"failed: {failure}" for failure in attrs["failures"]]
    return Summary("\n".join(lines))


def _extent(values: list[Any], scale: str, **_: Any) -> str:
    """Write the ends of an axis of numbers, or the values of an axis of names."""
    if scale == "category":
        return f"{', '.join(map(value_text, values))}, {len(values)} values"
    return f"{min(values):g} to {max(values):g}, {len(values)} values, {scale}"


def length(attributes: dict[str, Any]) -> str:
    """Return the time or the number of steps of each run of a sweep, in words."""
    if "time" in attributes:
        return f"time {attributes['time']:g}"
    return f"{attributes['steps']:,} steps"


def cell(dataset: xr.Dataset, at: dict[str, Any]) -> dict[str, Any]:
    """Describe one cell: coordinates, label, and what probes measured.

    `at` has a value for every axis. An axis of numbers takes the nearest value, by ratio if it is
    logarithmic; an axis of names takes the same name.

    Of a sweep with the probe `sharpness` or `predictor`, `mechanism` says in one sentence how the
    cell came to the edge of stability, and the numbers of `phasejax.mechanism` follow. The numbers
    per cell of all probes come last.
    """
    chosen = one_cell(dataset, at)
    code = int(chosen["regime"])
    return {
        **{str(name): chosen[name].item() for name in dataset["regime"].dims},
        "regime": NO_REGIME.get(code) or NAMES[code],
        **{name: float(chosen[name]) for name in LABELS if name != "regime" and name in chosen},
        **_measured(chosen),
    }


def _measured(chosen: xr.Dataset) -> dict[str, Any]:
    """Return what probes measured of one cell, without the numbers of its windows."""
    found: dict[str, Any] = {}
    if is_probed(chosen):
        numbers = mechanism(chosen)
        found["mechanism"] = explain(chosen, numbers)
        found |= {str(name): float(value) for name, value in numbers.items()}
    names = [name for name in chosen.attrs.get("measured", []) if not chosen[name].ndim]
    return found | {name: float(chosen[name]) for name in names}


def one_cell(dataset: xr.Dataset, at: Mapping[str, Any], argument: str = "at") -> xr.Dataset:
    """Select one cell by a value of every axis, as `choose` does."""
    chosen = choose(dataset, at, argument)
    if chosen["regime"].ndim:
        missing = ", ".join(str(name) for name in chosen["regime"].dims)
        raise ArgumentError(argument, f" = {at}: must give every axis; missing are {missing}")
    return chosen


def choose(dataset: xr.Dataset, at: Mapping[str, Any], argument: str = "at") -> xr.Dataset:
    """Select one value of some axes, by the rule of `phasejax.results.axes.index_of`.

    `argument` is what errors call `at`.
    """
    for name in at:
        choice(argument, name, [str(dim) for dim in dataset["regime"].dims])
    return dataset.isel({n: index_of(dataset[n], value, argument) for n, value in at.items()})
