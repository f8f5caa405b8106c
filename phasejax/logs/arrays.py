"""NPY files."""

import numpy as np
import pandas as pd

from .content import Content
from .source import Source

MAGIC = b"\x93NUMPY"
"""The first bytes of a file."""
FEW = 16
"""A run has more steps than this: a first axis that is shorter is an axis of runs."""


def fits(source: Source) -> bool:
    """Whether a file is an NPY file, by its first bytes or its name."""
    return source.head.startswith(MAGIC) or ".npy" in source.path.suffixes


def read(source: Source) -> Content:
    """Read an array `[steps]` or `[steps, runs]`.

    An array of Python objects is refused, because unpickling it can run code.
    """
    if not source.head.startswith(MAGIC):
        raise ValueError("it does not begin as an NPY file does")
    with source.open() as file:
        values = np.load(file, allow_pickle=False)
    if not isinstance(values, np.ndarray) or values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"it has shape {np.shape(values)}, not [steps] or [steps, runs]")
    if values.dtype.kind not in "iuf":
        raise ValueError(f"it holds {values.dtype}, not real numbers")
    if values.ndim == 2 and len(values) < FEW <= values.shape[1]:
        raise ValueError(
            f"it has shape {values.shape}, read as [steps, runs]: save its transpose if it is "
            "[runs, steps]"
        )
    runs = values.reshape(len(values), -1).T
    columns = {f"run {i}": pd.Series(run) for i, run in enumerate(runs)}
    return Content("NumPy array", columns)
