"""Panels below the loss curves for what a probe measured, and the colour bars of its maps."""

from typing import Any

import matplotlib
import numpy as np
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    LinearColorMapper,
    LogColorMapper,
    Range1d,
    Span,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from matplotlib.colors import to_hex

from ..plot.scale import COLOUR_MAPS
from ..plot.style import NO_VALUE

SIDE = 78
"""Pixels left of a panel, so that the panels of a cell have one steps axis."""
EDGE = 8
"""Pixels between the two panels of a cell, each, for half of the outermost tick label."""
CENTRED = [to_hex(matplotlib.colormaps[COLOUR_MAPS["centred"]](i)) for i in range(256)]
"""Palette of maps whose scale has a centre."""


def below(panel: figure, tools: str) -> figure:
    """Return an empty panel for a probe that shares the horizontal axis of a loss curve.

    Its first renderer is the curve, and its last a line at a threshold.
    """
    across: Any = panel.below[0]
    low = figure(
        width=panel.width,
        height=180,
        x_range=panel.x_range,
        y_range=Range1d(start=0, end=1),
        tools=tools,
        active_scroll=None,
        toolbar_location=None,
        min_border_left=SIDE,
        min_border_top=EDGE,
        min_border_right=panel.min_border_right,
    )
    shared: Any = low.below[0]
    shared.axis_label, shared.formatter = across.axis_label, across.formatter
    panel.min_border_left, panel.min_border_bottom = SIDE, EDGE
    across.visible = False
    up: Any = low.left[0]
    up.ticker = BasicTicker(desired_num_ticks=4)
    up.minor_tick_line_color = None
    up.axis_label_text_font_size = "12px"
    low.xgrid.visible = False
    source = ColumnDataSource({name: np.empty(0) for name in ("t", "value")})
    low.line("t", "value", source=source, line_width=1.2, color="black")
    low.add_layout(Span(location=1, dimension="width", line_color="#D55E00", line_dash="dashed"))
    return low


def bars(plane: figure) -> list[ColorBar]:
    """Return hidden colour bars for maps with a logarithmic and with a centred scale."""
    scales = (
        LogColorMapper(palette=Viridis256, low=0.1, high=1, nan_color=NO_VALUE),
        LinearColorMapper(palette=CENTRED, low=-1, high=1, nan_color=NO_VALUE),
    )
    made = [ColorBar(color_mapper=s, visible=False, height=12, title=" ") for s in scales]
    for bar in made:
        plane.add_layout(bar, "below")
    return made
