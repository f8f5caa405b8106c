"""A power law fitted to the border of a part of a plane."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.stats import t as student

from .._check import ArgumentError, bad

FEWEST = 4
"""Number of points of a border that a fit needs."""
CONFIDENCE = 0.95
"""Probability with which the errors cover the truth, if residuals are normal and independent."""


class PowerLaw(NamedTuple):
    """The law y = constant · x**exponent, and y = ratio · x, fitted to a border.

    Errors are half the widths of 95 % confidence intervals (Student's t), from the residuals. Those
    of `constant` and `ratio` are factors of at least 1: the interval is from the value over the
    factor to the value times the factor. They do not cover what is not a power law.

    - `x`, `y`: the points of the border, `[points]`.
    """

    exponent: float
    exponent_error: float
    constant: float
    constant_factor: float
    ratio: float
    ratio_factor: float
    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]


def fit_border(inside: xr.DataArray, x: str, y: str) -> PowerLaw:
    """Fit a power law to the upper border of the cells that are `inside`.

    ```python
    fit = pj.fit_border(dataset["regime"] == 0, x="delta", y="gamma")  # 0 is spike
    print(f"gamma = {fit.constant:.2g} delta**{fit.exponent:.2f}")
    ```

    **Arguments:**

    - `inside`: booleans over the two axes `x` and `y`, whose values are positive.

    For every value of `x`, the border lies between the highest cell that is inside, together with
    the cell below it, and the next cell above: at their geometric mean. Values of `x` without such
    cells are left out, and those of which the highest cell of the plane is inside. Single cells
    are not taken, because one misjudged cell would move the border across the plane.

    Raises a `ValueError` for other axes, and for a border of fewer than four points.
    """
    if not isinstance(inside, xr.DataArray):
        raise bad("inside", type(inside).__name__, "an xarray.DataArray of booleans")
    if x == y or set(inside.dims) != {x, y}:
        raise bad("x, y", f"{x}, {y}", f"the two axes of inside, which has {list(inside.dims)}")
    if inside.dtype != bool:
        raise bad("inside dtype", str(inside.dtype), "bool")
    places, levels = (_positions(inside, name) for name in (x, y))
    inside = inside.sortby([x, y]).transpose(x, y)
    cells = inside.values
    firm = cells[:, 1:] & cells[:, :-1]
    known = firm.any(axis=1) & ~cells[:, -1]
    if known.sum() < FEWEST:
        said = f": has a border at {known.sum()} values of {x}; a fit needs {FEWEST}"
        raise ArgumentError("inside", said)
    last = levels.size - 1 - np.argmax(firm[known, ::-1], axis=1)
    border = np.sqrt(levels[last] * levels[last + 1])
    return _fit(places[known], border)


def _positions(inside: xr.DataArray, axis: str) -> Float[np.ndarray, " values"]:
    """Return the sorted values of an axis, or refuse them."""
    values = inside[axis].values
    real = axis in inside.coords and np.issubdtype(values.dtype, np.number)
    if not real or np.iscomplexobj(values) or values.size < FEWEST:
        raise bad(f"values of {axis}", values.tolist(), f"{FEWEST} or more numbers")
    places = np.sort(values.astype(float))
    if not (np.isfinite(places).all() and places[0] > 0 and np.diff(places).all()):
        raise bad(f"values of {axis}", places.tolist(), "finite, positive and distinct")
    return places


def _fit(x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> PowerLaw:
    """Least squares in logarithms, of the line and of the line of slope 1."""
    across, up = np.log(x), np.log(y)
    centred = across - across.mean()
    spread = centred @ centred
    slope = centred @ up / spread
    free = len(x) - 2
    noise = np.sum((up - up.mean() - slope * centred) ** 2) / free
    wide = student.ppf((1 + CONFIDENCE) / 2, free)
    errors = wide * np.sqrt(
        noise * np.array([1 / spread, 1 / len(x) + across.mean() ** 2 / spread])
    )
    shift = up - across
    ratio_error = student.ppf((1 + CONFIDENCE) / 2, free + 1) * np.std(shift, ddof=1)
    return PowerLaw(
        float(slope),
        float(errors[0]),
        float(np.exp(up.mean() - slope * across.mean())),
        float(np.exp(errors[1])),
        float(np.exp(shift.mean())),
        float(np.exp(ratio_error / np.sqrt(len(x)))),
        x,
        y,
    )
