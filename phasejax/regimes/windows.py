"""Robust statistics along the windows of curves."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped
from numpy.lib.stride_tricks import sliding_window_view

from .median import Windows, median, ranked

NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
QUARTILE = 0.6745
"""Upper quartile of a normal distribution of standard deviation one."""
STRIDE = 4
"""Rolling quantiles are computed this many times per neighbourhood."""


def parts(
    values: Windows, count: int, of: Callable[[Windows], Float[np.ndarray, "*cells"]] = median
) -> Float[np.ndarray, "*cells parts"]:
    """Medians, or what `of` returns, of `count` successive parts, of equal length or one more."""
    size, longer = divmod(values.shape[-1], count)
    border = longer * (size + 1)
    pieces = (longer, values[..., :border]), (count - longer, values[..., border:])
    found = [of(x.reshape(*x.shape[:-1], n, -1)) for n, x in pieces if n]
    return found[0] if len(found) == 1 else np.concatenate(found, axis=-1)


def highest(values: Windows) -> Float[np.ndarray, "*cells"]:
    """Largest value of all windows."""
    return values.max(-1)


def slope(values: Windows) -> Float[np.ndarray, "*cells"]:
    """Slope of the regression line over times from −1 to 1.

    The products are summed cell by cell: a matrix product rounds differently for other numbers of
    cells, and a sweep in tiles must equal one at once.
    """
    time = np.linspace(-1, 1, values.shape[-1])
    return (values * time).sum(-1) / (time**2).sum()


def neighbourhood(windows: int) -> int:
    """Number of windows, a sixteenth of the run, over which a rolling median is taken."""
    return max(windows // 16, 3) | 1


def off_centre(windows: int) -> Float[np.ndarray, " window"]:
    """Distance of each window from the middle of the neighbourhood of its rolling quantiles."""
    stride = max(neighbourhood(windows) // STRIDE, 1)
    return np.arange(windows) % stride - stride // 2 + 0.0


def running(
    of: np.ufunc, values: Shaped[np.ndarray, "*cells window"]
) -> Shaped[np.ndarray, "*cells window"]:
    """Least or largest value so far, or what `of` says, in each window.

    NumPy accumulates one cell after the other, so the windows of many cells are taken in turn.
    """
    if values.shape[-1] > values[..., 0].size:
        return of.accumulate(values, axis=-1)
    found = values.copy(order="K")
    for window in range(1, values.shape[-1]):
        of(found[..., window - 1], found[..., window], out=found[..., window])
    return found


def rolling_median(values: Windows) -> Windows:
    """Median over the neighbourhood of each window.

    It follows slow changes and steps, and leaves out what is shorter than half a neighbourhood.
    """
    return rolling_quantiles(values, 0.5)[0]


def rolling_scatter(residuals: Windows) -> Windows:
    """Standard deviation over the neighbourhood of each window, from the lower quartile.

    Spikes and their tails are upward, and do not raise it.
    """
    return np.maximum(-rolling_quantiles(residuals, 0.25)[0], 0.0) / QUARTILE


def rolling_quantiles(values: Windows, *quantiles: float) -> list[Windows]:
    """Quantiles over the neighbourhood of each window; the ends of the run are repeated."""
    windows = values.shape[-1]
    size = neighbourhood(windows)
    stride = max(size // STRIDE, 1)
    ranks = [int(quantile * (size - 1) + 0.5) for quantile in quantiles]
    inside = np.clip(np.arange(-(size // 2), windows + size // 2 + stride), 0, windows - 1)
    around = sliding_window_view(values[..., inside], size, axis=-1)[..., stride // 2 :: stride, :]
    return [found[..., np.arange(windows) // stride] for found in ranked(around, *ranks)]


def deviation(residuals: Windows) -> Float[np.ndarray, "*cells"]:
    """Robust standard deviation of residuals around zero."""
    return NORMAL * median(np.abs(residuals))
