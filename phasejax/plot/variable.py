"""A map of one variable over a plane."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..results.axes import cell_edges, in_order
from ..results.variables import cell_variable, described
from .figure import Diagram
from .lines import Lines
from .marks import Marks
from .panel import RASTER_CELLS, decorate
from .plane import plane
from .scale import COLOUR_MAPS, scale_of
from .style import NO_VALUE
from .titles import printable, title

LONGEST = 58
"""Most letters of a line of a colour bar's label."""


def variable_map(
    dataset: xr.Dataset,
    variable: str,
    *,
    x: str | None = None,
    y: str | None = None,
    marks: Marks | None = None,
    lines: Lines | None = None,
    beta: bool = False,
) -> Figure:
    """Draw one variable of every cell over two axes, with the borders between regimes.

    **Arguments:**

    - `dataset`: as in `phasejax.phase_diagram`.
    - `variable`: a variable with a number per cell (a feature, or one that a probe measured), a
        variable per window, of which the median of the last quarter of the windows is drawn, or a
        variable of `phasejax.mechanism`.
    - `x`, `y`, `marks`, `lines`, `beta`: as in `phasejax.phase_diagram`.

    Ratios to a threshold have a scale from 0 to 2 with 1 in the middle; Lyapunov exponents and
    growth rates have 0 in the middle. Other values are drawn on a logarithmic scale if all are
    positive and span more than 1.5 decades. A scale leaves out the lowest and the highest 2 % of
    the values. Cells that are nan are grey.

    Returns a `matplotlib.figure.Figure`. Raises a `ValueError` for an unknown variable, which
    names the nearest ones.

    ```python
    dataset = pj.sweep(problem, pj.adam, grid, probes=["sharpness"])
    pj.variable_map(dataset, "edge_ratio").savefig("edge_ratio.png")
    ```
    """
    x, y = plane(dataset, x, y)
    dataset = in_order(dataset, x, y)
    values = cell_variable(dataset, variable)
    figure = Diagram(figsize=(7.0, 5.6), layout="constrained")
    panel = figure.subplots()
    _draw(figure, panel, values.transpose(y, x), dataset, x, y)
    _draw_borders(panel, dataset, x, y)
    decorate(panel, dataset, x, y, marks, lines, beta)
    _draw_legend(panel, values)
    figure.suptitle(title(dataset, figure.get_figwidth()), fontsize=10)
    return figure


def _draw(
    figure: Figure, panel: Axes, values: xr.DataArray, dataset: xr.Dataset, x: str, y: str
) -> None:
    """Draw the cells and the colour bar; infinite values have the colours of the scale's ends."""
    array = values.values.astype(float)
    scale = scale_of(str(values.name), array)
    panel.set_facecolor(NO_VALUE)
    mesh = panel.pcolormesh(
        cell_edges(dataset, x),
        cell_edges(dataset, y),
        np.clip(array, scale.low, scale.high),
        cmap=COLOUR_MAPS[scale.kind],
        norm=scale.norm,
        rasterized=array.size > RASTER_CELLS,
    )
    text = printable(described(values)).replace("log10", r"$\log_{10}$")
    label = "\n".join(_lines(text))
    figure.colorbar(mesh, ax=panel, extend=scale.extended(array), label=label)


def _lines(text: str) -> list[str]:
    """Break a text into lines of words."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= LONGEST:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _draw_borders(panel: Axes, dataset: xr.Dataset, x: str, y: str) -> None:
    """Draw a line between neighbouring cells of different regimes."""
    across, up = cell_edges(dataset, x), cell_edges(dataset, y)
    codes = dataset["regime"].transpose(y, x).values
    upright = [
        [(across[j + 1], up[i]), (across[j + 1], up[i + 1])]
        for i, j in np.argwhere(codes[:, 1:] != codes[:, :-1])
    ]
    level = [
        [(across[j], up[i + 1]), (across[j + 1], up[i + 1])]
        for i, j in np.argwhere(codes[1:] != codes[:-1])
    ]
    many = codes.size > RASTER_CELLS
    for colour, width in (("white", 2.0), ("black", 1.0)):
        drawn = LineCollection(
            [*upright, *level], colors=colour, linewidths=width, capstyle="round", rasterized=many
        )
        panel.add_collection(drawn, autolim=False)


def _draw_legend(panel: Axes, values: xr.DataArray) -> None:
    """Explain the borders, and the colour of cells that are nan."""
    entries = [Line2D([], [], color="black", linewidth=1.0, label="border between regimes")]
    if missing := int(values.isnull().sum()):
        patch = Patch(facecolor=NO_VALUE, edgecolor="0.3", linewidth=0.5)
        patch.set_label(f"no value  {missing}")
        entries.append(patch)  # pyright: ignore[reportArgumentType]
    panel.legend(
        handles=entries,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=2,
        frameon=False,
    )
