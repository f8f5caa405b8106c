"""Lines over a plane of a and b: what theory says of it, and what a user supposes."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from .. import theory
from .._check import bad

Lines = Mapping[str, Callable[[np.ndarray], np.ndarray]]
"""Functions of the horizontal axis, by what the figure shall call them."""
POINTS = 257


class Line(NamedTuple):
    """One line: what it is called, and its points along the horizontal and the vertical axis."""

    name: str
    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]


def lines_over(dataset: xr.Dataset, x: str, y: str, lines: Lines | None = None) -> list[Line]:
    """Return the lines to draw over a plane, each with the points that are inside.

    First a = b, then what `phasejax.theory` says of the sweep's problem, then `lines`. Raises a
    `ValueError` if a function of `lines` does not return one number a point.
    """
    found = _known(dataset, x, y) | _given(dataset, x, lines or {})
    drawn = [Line(name, *_inside(dataset, x, y, *points)) for name, points in found.items()]
    return [line for line in drawn if line.x.size > 1]


def _known(dataset: xr.Dataset, x: str, y: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What holds for b as a function of a, by name."""
    if {x, y} != {"a", "b"}:
        return {}
    a = _spaced(dataset, "a")
    curves = {"a = b": a, **_border(dataset, a)}
    return {name: (a, b) if x == "a" else (b, a) for name, b in curves.items()}


def _border(dataset: xr.Dataset, a: np.ndarray) -> dict[str, np.ndarray]:
    """The border that theory knows for Adam on this problem, if it knows one."""
    attrs = dataset.attrs
    problem, optimizer = attrs["problem"], attrs["optimizer"]
    selected = {str(name): float(v) for name, v in dataset.coords.items() if not v.ndim}
    fixed = attrs["fixed"] | selected
    epsilon = [fixed.get(name) for name in ("eps_root", "eps")]
    if optimizer not in ("adam", "adam_flow") or None in epsilon:
        return {}
    if problem == "power" and attrs["problem_arguments"]["k"] > 2 and epsilon == [0, 0]:
        k = attrs["problem_arguments"]["k"]
        ratio = float(theory.power_border(1.0, k))
        return {f"theory: b = {ratio:g} a" if ratio != 1 else "theory: b = a": ratio * a}
    eta = fixed.get("learning_rate")
    if problem == "quadratic" and optimizer == "adam" and eta is not None and any(epsilon):
        steepest = max(attrs["problem_arguments"]["spectrum"])
        b = float(theory.adam_border(steepest, eta, *epsilon))
        return {f"theory: b = {b:.3g}": np.full_like(a, b)}
    return {}


def _given(dataset: xr.Dataset, x: str, lines: Lines) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = {}
    for name, function in lines.items():
        values = _spaced(dataset, x)
        result = np.asarray(function(values), float)
        if result.shape not in ((), values.shape):
            raise bad(f"lines[{name!r}]", result.shape, f"one number for each value of {x}")
        found[name] = (values, np.broadcast_to(result, values.shape))
    return found


def _spaced(dataset: xr.Dataset, axis: str) -> np.ndarray:
    """Many values from one end of an axis to the other."""
    low, high = (float(v) for v in (dataset[axis].min(), dataset[axis].max()))
    space = np.geomspace if dataset[axis].attrs.get("scale") == "log" else np.linspace
    return space(low, high, POINTS)


def _inside(
    dataset: xr.Dataset, x: str, y: str, along: np.ndarray, above: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    inside = np.isfinite(above)
    for axis, values in ((x, along), (y, above)):
        low, high = float(dataset[axis].min()), float(dataset[axis].max())
        inside &= (values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))
    return along[inside], above[inside]
