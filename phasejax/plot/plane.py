"""The two axes of a figure."""

import xarray as xr

from .._check import bad, choice, swept


def plane(dataset: xr.Dataset, x: str | None, y: str | None) -> tuple[str, str]:
    """Return the horizontal and the vertical axis, by default the first and the second.

    Raises a `ValueError` if the dataset does not have two axes, or not those that are named,
    and if it is not that of a sweep.
    """
    swept(dataset, "regime", "status")
    axes = [str(name) for name in dataset["regime"].dims]
    if len(axes) != 2:
        hint = "select one value of the others: dataset.sel(seed=0), --at seed=0"
        hint = hint if axes[2:] else ""
        raise bad("dataset axes", axes, f"two; {hint}".rstrip("; "))
    for name, value in (("x", x), ("y", y)):
        if value is not None:
            choice(name, value, axes)
    x = x or next(axis for axis in axes if axis != y)
    y = y or next(axis for axis in axes if axis != x)
    if x == y:
        raise bad("y", y, f"another axis than x = {x!r}")
    return x, y
