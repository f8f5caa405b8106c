"""Axes of a plane of a and b, without the lines that `phasejax.plot` adds."""

import xarray as xr
from matplotlib.axes import Axes

from phasejax.plot.ticks import scale_axis
from phasejax.plot.titles import axis_name


def scale_plane(panel: Axes, dataset: xr.Dataset) -> None:
    """Scale and label the axes a and b."""
    for axis, name in ((panel.xaxis, "a"), (panel.yaxis, "b")):
        axis.set_label_text(axis_name(dataset, name))
        scale_axis(panel, axis, dataset[name])
