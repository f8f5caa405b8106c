"""The geometry of a border between regimes."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.ndimage import maximum_filter
from scipy.stats import t as student

from .._check import ArgumentError, bad, choice, swept
from .codes import MISSING, NAMES

FEWEST_SCALES = 4
"""Number of box sizes that the fit needs."""
LARGEST = 8
"""The largest box has this fraction (1/8) of the shorter side of the plane."""


class BorderDimension(NamedTuple):
    """A box-counting dimension.

    - `dimension`: minus the slope of log(number of boxes) over log(size); 1 for a smooth curve,
        2 for a curve that fills the plane.
    - `error`: half the width of the 95 % confidence interval of the slope (Student's t), from the
        residuals of the fit. It does not cover a dimension that changes with the scale.
    - `sizes`: sides of the boxes in cells, `[scales]`.
    - `counts`: number of boxes that contain a piece of border, `[scales]`, averaged over all
        offsets of the box grid.
    """

    dimension: float
    error: float
    sizes: Int[np.ndarray, " scales"]
    counts: Float[np.ndarray, " scales"]


def border_dimension(dataset: xr.Dataset, regime: str | None = None) -> BorderDimension:
    """Measure the box-counting dimension of a border on the plane of two axes.

    **Arguments:**

    - `dataset`: a sweep over two axes of at least 129 values each, preferably refined, because
        refinement computes every cell along the borders. Select one value of further axes first.
    - `regime`: the border around the cells of this regime; by default all borders.

    A box spans from cell to cell and contains a piece of border if its cells differ. Box sizes are
    powers of two, from 2 (smaller boxes miss much of the border on a grid) to an eighth of the
    shorter side. For the Koch snowflake, whose dimension is 1.262, the result is 1.23 on 513 × 513
    cells; for straight lines it is 0.97 to 1. Sohl-Dickstein (arXiv 2402.06184) measures the
    borders of trainability in the same way.

    Raises a `ValueError` if the dataset does not have two axes, has too few cells or missing
    cells, or has no border.
    """
    swept(dataset, "regime", "status")
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
    """For every square of four adjacent cells, whether their values differ."""
    one, *others = (values[i : len(values) - 1 + i] for i in (0, 1))
    one, *others = (half[:, j : values.shape[1] - 1 + j] for half in (one, *others) for j in (0, 1))
    return (one != others[0]) | (one != others[1]) | (one != others[2])


def _boxes(mixed: Bool[np.ndarray, "rows columns"], size: int) -> float:
    """Mean number of boxes of `size` × `size` squares with a mixed square, over all offsets.

    The plane wraps around at its ends, so that every box is complete.
    """
    return float(np.count_nonzero(maximum_filter(mixed, size, mode="wrap")) / size**2)


def _slope(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Slope of the least-squares line, and half the width of its 95 % confidence interval."""
    x, y = x - x.mean(), y - y.mean()
    slope = (x @ y) / (x @ x)
    free = len(x) - 2
    deviation = np.sqrt(np.sum((y - slope * x) ** 2) / free / (x @ x))
    return float(slope), float(student.ppf(0.975, free) * deviation)
