"""The geometry of a border between regimes."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.ndimage import maximum_filter
from scipy.stats import t as student

from .._check import ArgumentError, bad, choice
from . import NAMES
from .codes import MISSING

FEWEST_SCALES, LARGEST = 4, 8
"""Sizes of boxes that a fit needs, and the largest box as a part of the shorter side."""


class BorderDimension(NamedTuple):
    """A box-counting dimension.

    - `dimension`: minus the slope of log(number of boxes) over log(size); 1 for a smooth curve,
        2 for one that fills the plane.
    - `error`: half the width of the slope's 95 % confidence interval (Student's t), from how far
        the counts lie off the line. That a border is not the same at all scales is not in it.
    - `sizes`, `counts`: sides of the boxes in cells, and how many boxes hold a piece of border, on
        average over all places where the boxes can begin.
    """

    dimension: float
    error: float
    sizes: Int[np.ndarray, " scales"]
    counts: Float[np.ndarray, " scales"]


def border_dimension(dataset: xr.Dataset, regime: str | None = None) -> BorderDimension:
    """Measure the box-counting dimension of a border on the plane of two axes.

    **Arguments:**

    - `dataset`: a sweep over two axes, of 129 values or more each, best refined: every border is
        then known to the last cell. Select one value of further axes first.
    - `regime`: the border around the cells of this regime; by default all borders.

    A box spans from cell to cell; it holds a piece of border if its cells are not all alike. Sizes
    are powers of two, from 2, below which a grid misses much, to an eighth of the shorter side. (Of
    the Koch snowflake, 1.262, it finds 1.23 on 513 × 513 cells, and of straight lines 0.97 to 1.)
    Sohl-Dickstein (arXiv 2402.06184) measures borders of trainability so.

    Raises a `ValueError` for another number of axes, too few cells, cells that are missing, or no
    border at all.
    """
    labels = dataset["regime"]
    if labels.ndim != 2:
        raise bad("dataset axes", list(labels.dims), "two; select one value of the others")
    least = LARGEST * 2**FEWEST_SCALES + 1
    if min(labels.shape) < least:
        raise bad("dataset sizes", labels.shape, f"at least {least} values along each axis")
    if (missing := int((dataset["status"] == MISSING).sum())) > 0:
        raise ArgumentError("dataset", f": {missing} cells are missing; resume the sweep first")
    values = labels.values
    if regime is not None:
        choice("regime", regime, NAMES)
        values = (values == NAMES.index(regime)).astype(np.int8)
    sizes = 2 ** np.arange(1, int(np.log2((min(values.shape) - 1) // LARGEST)) + 1)
    mixed = _mixed(values)
    if not mixed.any():
        raise ArgumentError("dataset", ": all cells are alike, and there is no border")
    counts = np.array([_boxes(mixed, int(size)) for size in sizes])
    return BorderDimension(*_slope(np.log(1 / sizes), np.log(counts)), sizes, counts)


def _mixed(values: Int[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "_ _"]:
    """Say of every square between four cells whether they differ."""
    one, *others = (values[i : len(values) - 1 + i] for i in (0, 1))
    one, *others = (half[:, j : values.shape[1] - 1 + j] for half in (one, *others) for j in (0, 1))
    return (one != others[0]) | (one != others[1]) | (one != others[2])


def _boxes(mixed: Bool[np.ndarray, "rows columns"], size: int) -> float:
    """Boxes of `size` × `size` squares that hold a mixed one, on average over where they begin.

    The plane is closed to a torus, so that boxes are whole everywhere.
    """
    return float(np.count_nonzero(maximum_filter(mixed, size, mode="wrap")) / size**2)


def _slope(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Slope of the least-squares line, and half of its 95 % confidence interval."""
    x, y = x - x.mean(), y - y.mean()
    slope = (x @ y) / (x @ x)
    free = len(x) - 2
    deviation = np.sqrt(np.sum((y - slope * x) ** 2) / free / (x @ x))
    return float(slope), float(student.ppf(0.975, free) * deviation)
