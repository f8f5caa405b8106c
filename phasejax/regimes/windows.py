"""Robust statistics along the windows of curves."""

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

Windows = Float[np.ndarray, "*cells window"]

NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
STRIDE = 4
"""Rolling medians are computed this many times per neighbourhood."""
AT_ONCE = 2**22
"""Numbers whose medians are taken at once, so that memory does not grow with the cells."""


def parts(values: Windows, count: int) -> Float[np.ndarray, "*cells parts"]:
    """Medians of `count` successive parts of equal length."""
    pieces = np.array_split(values, count, axis=-1)
    return np.stack([np.median(piece, axis=-1) for piece in pieces], axis=-1)


def neighbourhood(windows: int) -> int:
    """Number of windows, a sixteenth of the run, over which a rolling median is taken."""
    return max(windows // 16, 3) | 1


def rolling_median(values: Windows) -> Windows:
    """Median over the neighbourhood of each window; the ends of the run are repeated.

    It follows slow changes and steps, and leaves out what is shorter than half a neighbourhood.
    """
    windows = values.shape[-1]
    size = neighbourhood(windows)
    stride = max(size // STRIDE, 1)
    cells = values.reshape(-1, windows)
    padded = np.pad(cells, [(0, 0), (size // 2, size // 2 + stride)], mode="edge")
    around = sliding_window_view(padded, size, axis=-1)[:, stride // 2 :: stride]
    at_once = max(AT_ONCE // (around.shape[1] * size), 1)
    medians = [
        np.median(around[first : first + at_once], axis=-1)
        for first in range(0, len(cells), at_once)
    ]
    every = np.concatenate(medians) if medians else np.zeros((0, around.shape[1]))
    return np.repeat(every, stride, axis=-1)[:, :windows].reshape(values.shape)


def deviation(residuals: Windows) -> Float[np.ndarray, "*cells"]:
    """Robust standard deviation of residuals around zero."""
    return NORMAL * np.median(np.abs(residuals), axis=-1)
