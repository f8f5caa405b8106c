"""Variables of a sweep with one number per cell, which can be drawn over a plane."""

import difflib
import warnings
from collections.abc import Sequence

import xarray as xr

from .._check import ArgumentError
from ..regimes.mechanism import is_probed, late_windows, mechanism
from .format import STATUS

CODES = ("regime", STATUS)
"""Variables of codes, which are no numbers."""


def cell_variable(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Return one number per cell: a variable of a sweep, or one of `phasejax.mechanism`.

    Of a variable per window it is the median of the last quarter of the windows, without those
    that are nan, and `long_name` says so. Raises a `ValueError` for a name that is not known; it
    names the nearest that are.
    """
    if name in _stored(dataset):
        values = dataset[name]
        return late_median(values) if "window" in values.dims else values
    if is_probed(dataset):
        numbers = mechanism(dataset)
        if name in numbers:
            return numbers[name]
        raise _unknown(name, [*_stored(dataset), *map(str, numbers)])
    raise _unknown(name, _stored(dataset))


def window_variables(dataset: xr.Dataset) -> list[str]:
    """Return the variables per window that probes measured."""
    return [name for name in dataset.attrs.get("measured", []) if "window" in dataset[name].dims]


def probed_variables(dataset: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return all numbers per cell that come from probes, those of `mechanism` first."""
    numbers = mechanism(dataset) if is_probed(dataset) else {}
    found = {str(name): values for name, values in numbers.items()}
    return found | {
        name: cell_variable(dataset, name) for name in dataset.attrs.get("measured", [])
    }


def late_median(values: xr.DataArray) -> xr.DataArray:
    """Return the median of the last quarter of the windows."""
    late = values.isel(window=late_windows(values.sizes["window"]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice encountered")
        found = late.median("window", skipna=True)
    text = values.attrs.get("long_name", str(values.name).replace("_", " "))
    return found.assign_attrs(values.attrs | {"long_name": f"{text}, late median"})


def described(values: xr.DataArray) -> str:
    """Write what a variable is, and its unit if it has one."""
    text = values.attrs.get("long_name", str(values.name).replace("_", " "))
    units = values.attrs.get("units", "1")
    return text if units == "1" else f"{text} ({units})"


def _stored(dataset: xr.Dataset) -> list[str]:
    """Return the variables of a sweep that have a number per cell or per window."""
    cells = set(dataset["regime"].dims)
    return [
        str(name)
        for name, values in dataset.items()
        if name not in CODES and set(values.dims) - {"window"} == cells
    ]


def _unknown(name: str, known: Sequence[str]) -> ArgumentError:
    """Name the known variables that are nearest to a wrong name."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0)
    return ArgumentError(
        "variable", f" = {name!r}: unknown; did you mean {near[0]!r}? Near are {', '.join(near)}"
    )
