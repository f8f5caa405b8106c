"""Checks that every figure must pass."""

import itertools
from typing import Any

from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from phasejax.plot.style import COLOURS


def check_figure(figure):
    """Check that legends name all colours, nothing is cut or overlaps, and labels are readable."""
    figure.draw_without_rendering()
    check_legends(figure)
    check_layout(figure)
    for text in figure.findobj(Text):
        outside = "".join(
            text.get_text().split("$")[::2]
        )  # the parts between dollars are mathematics
        assert "x_k" not in outside, outside
        assert "log10" not in outside, outside


def check_legends(figure):
    """Check that every regime on a panel is in the legend of the panel or of the figure."""
    names = {to_hex(colour): name for name, colour in COLOURS.items()}
    shared = [entry for legend in figure.legends for entry in legend.findobj(Rectangle)]
    for panel in figure.axes:
        meshes = [c for c in panel.collections if isinstance(c, QuadMesh)]
        of_regimes: list[Any] = [mesh for mesh in meshes if len(COLOURS) == mesh.get_cmap().N]
        drawn = {to_hex(colour) for mesh in of_regimes for colour in mesh.get_facecolor()}
        legend = panel.get_legend()
        entries = shared + (legend.findobj(Rectangle) if legend else [])
        missing = drawn & set(names) - {to_hex(entry.get_facecolor()) for entry in entries}
        assert not missing, {names[colour] for colour in missing}
        if any(mesh.get_alpha() for mesh in meshes):
            texts = [t.get_text() for at in (legend, *figure.legends) if at for t in at.get_texts()]
            assert any(text.startswith("pale: inferred") for text in texts), texts


def check_layout(figure):
    """Check that all is inside the figure, panels do not overlap, and log axes have ticks."""
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.02, box
    boxes = [panel.get_tightbbox() for panel in figure.axes]
    for one, other in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        up = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(across, up) < -2, (one, other)  # pixels
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            low, high = sorted(axis.get_view_interval())
            places = [*axis.get_majorticklocs(), *axis.get_minorticklocs()]
            inside = [place for place in places if low <= place <= high]
            assert axis.get_scale() != "log" or len(inside) > 1, (axis, inside)
