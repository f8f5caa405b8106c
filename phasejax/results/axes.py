"""Axes of a dataset: positions of values in a figure, look-up of values, fixed values.

Numbers stand at their values, names at 0, 1, 2, ...
"""

import math
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from .._check import bad, choice


def is_category(axis: xr.DataArray) -> bool:
    """Say whether an axis holds names (bools or strings) instead of numbers."""
    return axis.attrs.get("scale") == "category" or axis.dtype.kind not in "iuf"


def is_log(axis: xr.DataArray) -> bool:
    """Say whether an axis is logarithmic."""
    return axis.attrs.get("scale") == "log" and not is_category(axis)


def names_of(axis: xr.DataArray) -> list[str]:
    """Return the values of an axis as strings."""
    return [value_text(value) for value in axis.values]


def value_text(value: Any) -> str:
    """Write one value: a float with six digits, an integer with all digits, a name unchanged."""
    value = value.item() if isinstance(value, np.generic) else value
    return f"{value:g}" if isinstance(value, float) else str(value)


def positions(axis: xr.DataArray) -> Float[np.ndarray, " values"]:
    """Centres of the cells along an axis: its numbers, or 0, 1, 2, ... for names."""
    return np.arange(float(axis.size)) if is_category(axis) else axis.values.astype(float)


def position_of(axis: xr.DataArray, value: Any, argument: str) -> float:
    """Position of a value on an axis; a number may lie between the axis's values.

    `argument` names the value in errors.
    """
    if is_category(axis):
        return float(index_of(axis, value, argument))
    return _number(axis, value, argument)


def index_of(axis: xr.DataArray, value: Any, argument: str) -> int:
    """Index of the same name, or of the nearest number, on an axis.

    On a logarithmic axis the nearest number is the one with the smallest ratio. This is the rule
    of `--at` and of `phasejax.cell`. Raises a `ValueError` for a name that is not on the axis, and
    on an axis of numbers for a value that is not a finite number.
    """
    if is_category(axis):
        known = [f"{axis.name}={name}" for name in names_of(axis)]
        choice(argument, f"{axis.name}={value_text(value)}", known)
        return known.index(f"{axis.name}={value_text(value)}")
    number = _number(axis, value, argument)
    if is_log(axis) and number > 0:
        return int(np.abs(np.log(axis.values / number)).argmin())
    exact = axis.dtype.kind in "iu" and number == int(number)
    return int(np.abs(axis.values - (int(value) if exact else number)).argmin())


def _number(axis: xr.DataArray, value: Any, argument: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise bad(argument, f"{axis.name}={value}", f"a finite number on the axis {axis.name}")
    return number


def same_values(one: xr.DataArray, other: xr.DataArray) -> bool:
    """Say whether two axes have the same values, numbers up to a relative 1e-9."""
    if one.shape != other.shape or is_category(one) != is_category(other):
        return False
    if is_category(one):
        return names_of(one) == names_of(other)
    return np.allclose(one, other, rtol=1e-9, atol=0)


def in_order(dataset: xr.Dataset, *axes: str) -> xr.Dataset:
    """Sort a dataset by the values of its axes of numbers; a sweep keeps the given order."""
    unsorted = [
        name
        for name in axes
        if name in dataset.dims
        and not is_category(dataset[name])
        and np.any(np.diff(dataset[name].values) < 0)
    ]
    return dataset.sortby(unsorted) if unsorted else dataset


def cell_edges(dataset: xr.Dataset, axis: str) -> Float[np.ndarray, " edges"]:
    """Edges of the cells along an axis: halfway between values, or between logarithms."""
    values = positions(dataset[axis])
    logarithmic = is_log(dataset[axis])
    values = np.log(values) if logarithmic else values
    if len(values) == 1:
        edges = values[0] + np.array([-0.5, 0.5])
    else:
        middle = (values[1:] + values[:-1]) / 2
        edges = np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
    if logarithmic:  # the outermost edges may be beyond the range of floating-point numbers
        edges = np.exp(np.clip(edges, np.log(np.finfo(float).tiny), np.log(np.finfo(float).max)))
    return edges


def fixed_seed(attributes: dict[str, Any]) -> int | None:
    """Return the seed of a sweep, or `None` if the seed is one of its axes."""
    return None if "seed" in attributes["axes"] else attributes.get("seeds", [0])[0]


def selected(dataset: xr.Dataset) -> dict[str, Any]:
    """Return the hyper-parameters with a single value, fixed or selected by `sel`."""
    chosen = {
        str(name): value.item()
        for name, value in dataset.coords.items()
        if not value.ndim and name in dataset.attrs["axes"]
    }
    return dataset.attrs["fixed"] | chosen
