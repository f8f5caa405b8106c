"""The plots of a page: the plane, and panels for loss curves. `page.js` fills them with data."""

from collections.abc import Collection
from typing import Any

import numpy as np
import xarray as xr
from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.models import (
    BasicTickFormatter,
    ColorBar,
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    GlyphRenderer,
    HoverTool,
    Label,
    LinearColorMapper,
    LogTicker,
    PlainText,
    Range1d,
    TapTool,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from bokeh.transform import linear_cmap

from ..plot.lines import Line, Name, name_places
from ..plot.style import COLOURS, STROKES
from ..plot.titles import axis_name
from ..regimes.codes import CODE_NAMES
from ..results.axes import cell_edges, is_category, is_log, names_of, positions
from ..results.variables import window_variables
from .probe_plots import bars, below
from .replay_plots import add_rings, add_steps

PANELS = 4
"""Number of panels for loss curves."""
NOT_COMPUTED = -2
"""Code of a cell that has no result yet: a page can be written while the sweep runs."""
PAGE_CODES = {NOT_COMPUTED: "not computed yet", **CODE_NAMES}
"""Names of the codes on the page, in ascending order of the code."""
MISSING_COLOUR = "#ececec"
"""Colour of cells without a value."""
PAGE_COLOURS = {**COLOURS, PAGE_CODES[NOT_COMPUTED]: MISSING_COLOUR}
"""Colours by name of the code."""
SIDES = ("left", "right", "bottom", "top")
"""Columns with the edges of the cells."""
HOVERED = ("margin", "late_level", "late_peak", "onset", "spike_count", "spike_period", "amplitude")
"""Features in the tooltip of a cell; the table has all features."""
TICKS = [m * 10.0**e for e in range(-12, 13) for m in (1, 3)]
"""Ticks of a logarithmic axis."""
FEW = 0.8
"""An axis of fewer decades has Bokeh's own ticks, because too few of `TICKS` lie on it."""
TOOLS = "pan,box_zoom,wheel_zoom,reset,save"
"""Tools of every plot, by Bokeh's names."""


def document(
    dataset: xr.Dataset, x: str, y: str, lines: list[Line], replayed: Collection[int] = ()
) -> Document:
    """Return a document with the plane and the panels, which passes them to the page's script.

    Its roots are the plane, the panels for losses and, if the sweep has probes, those below them.
    `replayed` has the numbers of replayed cells, in the order `[x, y]`.
    """
    plane = _empty_plane(dataset, x, y)
    panels = [_panel(dataset) for _ in range(PANELS)]
    parts: dict[str, Any] = {
        "cells": _cells(plane),
        "bar": _colour_bar(plane),
        "lines": [
            drawn
            for number, (line, name) in enumerate(
                zip(lines, name_places(dataset, x, y, lines), strict=True)
            )
            for drawn in _draw(plane, line, name, STROKES[number % len(STROKES)])
        ],
        "pins": _pins(plane),
        "cursor": _cursor(plane),
        "panels": panels,
    }
    if dataset.attrs.get("measured"):
        parts["log_bar"], parts["centred_bar"] = bars(plane)
    if replayed:
        places = np.unravel_index(list(replayed), (dataset.sizes[x], dataset.sizes[y]))
        add_rings(plane, *(positions(dataset[n])[at] for n, at in zip((x, y), places, strict=True)))
        for panel in panels:
            add_steps(panel)
    probed = [below(panel, TOOLS) for panel in panels] if window_variables(dataset) else []
    if probed:
        parts["below"] = probed
    plane.add_tools(TapTool(renderers=[parts["cells"]]), _hover(dataset, x, y, parts["cells"]))
    clicked = CustomJS(code="phasejax.click(cb_obj.indices)")
    parts["cells"].data_source.selected.js_on_change("indices", clicked)
    made = Document()
    for root in (plane, *panels, *probed):
        made.add_root(root)
    start = f"phasejax.start({{{', '.join(parts)}}})"
    made.js_on_event(DocumentReady, CustomJS(args=parts, code=start))
    return made


def _empty_plane(dataset: xr.Dataset, x: str, y: str) -> figure:
    edges = cell_edges(dataset, x), cell_edges(dataset, y)
    logarithmic = [is_log(dataset[name]) for name in (x, y)]
    plane = figure(
        frame_width=540,
        frame_height=520,
        x_axis_type="log" if logarithmic[0] else "linear",
        y_axis_type="log" if logarithmic[1] else "linear",
        x_range=Range1d(*edges[0][[0, -1]]),
        y_range=Range1d(*edges[1][[0, -1]]),
        tools=TOOLS,
        active_scroll=None,
        toolbar_location="above",
        name="plane",
    )
    sides: Any = (plane.xaxis, plane.yaxis)
    for axis, name, sides_of, spread in zip(sides, (x, y), edges, logarithmic, strict=True):
        axis.axis_label = PlainText(text=axis_name(dataset, name))
        if spread and abs(np.log10(sides_of[-1] / sides_of[0])) >= FEW:
            axis.ticker = FixedTicker(ticks=TICKS, minor_ticks=[])
            axis.formatter.min_exponent = 5
        if is_category(dataset[name]):
            axis.ticker = FixedTicker(ticks=list(range(dataset.sizes[name])))
            names = enumerate(names_of(dataset[name]))
            axis.major_label_overrides = {place: PlainText(text=text) for place, text in names}
    plane.grid.visible = False
    return plane


def _cells(plane: figure) -> GlyphRenderer:
    """The cells, coloured by regime; outlines of the same colour close the gaps between cells."""
    palette = [PAGE_COLOURS[name] for name in PAGE_CODES.values()]
    colour: Any = linear_cmap("regime", palette, min(PAGE_CODES) - 0.5, max(PAGE_CODES) + 0.5)
    drawn = plane.quad(
        *("left", "right", "top", "bottom"),
        source=ColumnDataSource({name: [] for name in (*SIDES, "regime", "alpha")}),
        fill_color=colour,
        fill_alpha="alpha",
        line_color=colour,
        line_alpha="alpha",
    )
    drawn.nonselection_glyph = drawn.selection_glyph = None
    return drawn


def _colour_bar(plane: figure) -> ColorBar:
    """The colour bar of a feature, hidden while regimes are shown."""
    scale = LinearColorMapper(palette=Viridis256, low=0, high=1, nan_color=MISSING_COLOUR)
    bar = ColorBar(color_mapper=scale, visible=False, height=12, title=" ")
    plane.add_layout(bar, "below")
    return bar


def _draw(plane: figure, line: Line, name: Name, stroke: str) -> list[GlyphRenderer | Label]:
    """A line in black on white, so that it is visible on every colour, and its name next to it."""
    strokes = [
        plane.line(line.x, line.y, color=colour, line_width=width, line_dash=dash)
        for colour, width, dash in (("white", 4, "solid"), ("black", 1.5, stroke))
    ]
    how: Any = {"padding": 2}
    label = Label(
        x=name.x,
        y=name.y,
        x_offset=-8 if name.left else 8,
        y_offset=8 if name.above else -8,
        text=PlainText(text=line.name),
        text_font_size="12px",
        text_align="right" if name.left else "left",
        text_baseline="bottom" if name.above else "top",
        background_fill_color="white",
        **how,
    )
    plane.add_layout(label)
    for drawn in (*strokes, label):
        drawn.tags = [line.name]
    return [*strokes, label]


def _pins(plane: figure) -> GlyphRenderer:
    """Numbers on the cells with open curves."""
    open_cells = ColumnDataSource({"x": [], "y": [], "text": []})
    plane.scatter("x", "y", source=open_cells, size=18, fill_color="white", line_color="black")
    how: Any = {"text_align": "center", "text_baseline": "middle", "text_font_size": "12px"}
    return plane.text("x", "y", "text", source=open_cells, **how)


def _cursor(plane: figure) -> GlyphRenderer:
    """A frame around the cell that the arrow keys have moved to."""
    source = ColumnDataSource({name: [] for name in SIDES})
    frame: Any = {"fill_color": None, "line_color": "black", "line_width": 3}
    return plane.quad("left", "right", "top", "bottom", source=source, **frame)


def _hover(dataset: xr.Dataset, x: str, y: str, cells: GlyphRenderer) -> HoverTool:
    """Tooltip of a cell: its coordinates, its regime and the features in `HOVERED`."""
    numbers = [name for name in HOVERED if name in dataset]
    rows = [(name.replace("_", " "), f"@{name}{{%.4g}}") for name in numbers]
    return HoverTool(
        renderers=[cells],
        tooltips=[(x, "@x_name"), (y, "@y_name"), ("regime", "@label"), *rows],
        formatters={f"@{number}": "printf" for number in numbers},
    )


def _panel(dataset: xr.Dataset) -> figure:
    """An empty panel for a loss curve: a band from minimum to maximum, and a line for the mean."""
    flow = "time" in dataset.attrs
    extent = float(dataset.attrs["time" if flow else "steps"])
    panel = figure(
        width=340,
        height=260,
        y_axis_type="log",
        x_range=Range1d(start=0, end=extent),
        y_range=Range1d(start=1e-3, end=1),
        tools=TOOLS,
        active_scroll=None,
        toolbar_location=None,
        min_border_right=20,  # pixels for half of the last tick label
    )
    across: Any = panel.xaxis
    across.axis_label = "time" if flow else "step"
    across.formatter = BasicTickFormatter(use_scientific=False)
    up: Any = panel.yaxis
    minimum = dataset.attrs.get("minimum", 0.0)
    up.axis_label = f"loss − ({minimum:g})" if minimum else "loss"
    up.ticker = LogTicker(desired_num_ticks=5)
    up.minor_tick_line_color = None
    panel.xgrid.visible = False
    source = ColumnDataSource({name: np.empty(0) for name in ("t", "low", "high", "mean")})
    panel.varea("t", "low", "high", source=source, fill_alpha=0.6)
    panel.line("t", "mean", source=source, line_width=1.2, color="black")
    return panel
