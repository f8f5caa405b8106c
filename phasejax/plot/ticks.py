"""Scales, ticks and tick labels of an axis."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from ..results.axes import is_category, is_log, names_of
from .titles import printable


def scale_axis(panel: Axes, axis: XAxis | YAxis, values: xr.DataArray) -> None:
    """Set scale and ticks: plain numbers on a logarithmic axis, names on an axis of names."""
    if is_category(values):
        axis.set_major_locator(FixedLocator(list(range(values.size))))
        names = [printable(name) for name in names_of(values)]
        axis.set_major_formatter(FuncFormatter(lambda _, place: names[place or 0]))
        return
    if is_log(values):
        (panel.set_xscale if isinstance(axis, XAxis) else panel.set_yscale)("log")
        log_ticks(axis, np.log10(float(values.max() / values.min())))


def log_ticks(axis: XAxis | YAxis, decades: float) -> None:
    """Put ticks at 1, 3, 10, 30, ..., or only at powers of ten on an axis of 5 decades or more."""
    axis.set_major_locator(LogLocator(subs=(1, 3) if decades < 5 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))


def decay_ticks(axis: XAxis | YAxis) -> None:
    """Write the ticks of an axis of 1 − β as β: 0.9, 0.97, 0.99, ..."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{1 - value:.12g}"))


def plain_number(value: float) -> str:
    """Write a number without the letter e: 0.001 or 3·10⁻⁵."""
    mantissa, e, exponent = f"{value:g}".partition("e")
    if not e:
        return mantissa
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if mantissa == "1" else f"{mantissa}·{power}"
