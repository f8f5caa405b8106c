"""Replayed cells in the plots of a page: rings on the plane, and every step in the panels."""

from typing import Any

import numpy as np
from bokeh.models import BoxZoomTool, ColumnDataSource, CustomJS, HoverTool
from bokeh.plotting import figure
from jaxtyping import Float

MOST_DOTS = 100
"""Most steps in view that have a dot each; the dots of more would touch."""
GREY = "#666666"
"""Colour of the line: dark on every band, and lighter than the mean where steps fill the band."""
RING = 26
"""Pixels across a ring, which is around the number of an open cell."""
TOOLBAR = 30
"""Pixels of height of a toolbar."""


def add_rings(
    plane: figure, x: Float[np.ndarray, " cells"], y: Float[np.ndarray, " cells"]
) -> None:
    """Draw rings around replayed cells, in black on white so that they show on every colour."""
    source = ColumnDataSource({"x": x, "y": y})
    for colour, width in (("white", 5), ("black", 2)):
        how: Any = {"fill_color": None, "line_color": colour, "line_width": width}
        plane.scatter("x", "y", source=source, size=RING, **how)


def add_steps(panel: figure) -> None:
    """Add the loss of every step to a panel for a loss curve, and tools to zoom in.

    The steps are a line between the band and the mean, and while at most `MOST_DOTS` are in view
    also dots, which are the panel's last renderer.
    """
    source = ColumnDataSource({name: np.empty(0) for name in ("step", "loss")})
    band, mean = panel.renderers
    line = panel.line("step", "loss", source=source, line_width=0.8, color=GREY)
    dots = panel.scatter("step", "loss", source=source, size=4, color="black")
    panel.renderers = [band, line, mean, dots]
    across: Any = panel.x_range
    dots.visible = across.end - across.start <= MOST_DOTS
    code = f"dots.visible = range.end - range.start <= {MOST_DOTS}"
    zoomed = CustomJS(args={"dots": dots, "range": across}, code=code)
    for end in ("start", "end"):
        across.js_on_change(end, zoomed)
    told: Any = {"tooltips": [("step", "@step{0}"), ("loss", "@loss{%.6g}")], "visible": False}
    panel.add_tools(HoverTool(renderers=[dots], formatters={"@loss": "printf"}, **told))
    _show_tools(panel)


def _show_tools(panel: figure) -> None:
    """Show the tools of a panel above it; dragging a box zooms in."""
    height: Any = panel.height
    panel.height = height + TOOLBAR
    panel.toolbar_location = "above"
    panel.toolbar.logo = None
    panel.toolbar.active_drag = next(t for t in panel.tools if isinstance(t, BoxZoomTool))
