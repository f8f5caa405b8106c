"""Lines over a plane, from theory or from the user, and the places of their names."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from .. import theory
from .._check import bad
from ..results.axes import cell_edges, is_category, is_log, selected
from .formula import read_line

Lines = Mapping[str, Callable[[np.ndarray], np.ndarray]] | Sequence[str]
"""Functions of the values on the horizontal axis, by name; or formulas such as "b = 12 a"."""
POINTS = 257
"""Points of a line."""
LETTER = 1 / 45
"""Width of a letter of a line's name, as a fraction of the panel's width."""
HEIGHT = 0.055
"""Height of a line's name, as a fraction of the panel's height."""
GAP = 0.02
"""Distance of a name from its point, as a fraction of the panel."""
Points = Float[np.ndarray, " _"]
"""Coordinates of points along one axis."""
Box = tuple[float, float, float, float]
"""Left, bottom, right and top, as fractions of a panel."""


class Line(NamedTuple):
    """One line: its name, and its points along the horizontal and the vertical axis."""

    name: str
    x: Points
    y: Points


class Name(NamedTuple):
    """Place of a line's name: left or right of a point, and above or below it."""

    x: float
    y: float
    left: bool
    above: bool


def lines_over(dataset: xr.Dataset, x: str, y: str, lines: Lines | None = None) -> list[Line]:
    """Return the lines to draw over a plane, each with its points inside the plane.

    The first is a = b, if a and b are the paper's, then the border that `phasejax.theory` predicts
    for the problem, then `lines`. Raises a `ValueError` if a formula cannot be read, or if a
    function does not return one number per point.
    """
    found = _known(dataset, x, y) | _given(dataset, x, y, lines or ())
    drawn = [Line(name, *_inside(dataset, x, y, *points)) for name, points in found.items()]
    return [line for line in drawn if line.x.size > 1]


def _known(dataset: xr.Dataset, x: str, y: str) -> dict[str, tuple[Points, Points]]:
    """The line a = b and the border from theory, by name, if a and b are the paper's."""
    module = dataset.attrs.get("optimizer_module", "")
    if {x, y} != {"a", "b"} or not module.startswith("phasejax."):
        return {}
    a = _spaced(dataset, "a")
    border = _border(dataset, a)
    curves = {"a = b": a, **border} if "theory: a = b" not in border else border
    return {name: (a, b) if x == "a" else (b, a) for name, b in curves.items()}


def _border(dataset: xr.Dataset, a: Points) -> dict[str, Points]:
    """The border that `phasejax.theory` predicts for Adam on this problem, if there is one."""
    attrs = dataset.attrs
    problem = attrs.get("problem_builtin", "")  # a problem of the user can have the same name
    optimizer = attrs["optimizer_module"].removeprefix("phasejax.dynamics.")
    fixed = selected(dataset)
    eps_root, eps = fixed.get("eps_root"), fixed.get("eps")
    if optimizer not in ("adam", "adam_flow") or eps_root is None or eps is None:
        return {}
    if problem == "power" and attrs["problem_arguments"]["k"] > 2 and eps_root == eps == 0:
        k = attrs["problem_arguments"]["k"]
        ratio = float(theory.power_border(1.0, k))
        return {f"theory: b = {ratio:g} a" if ratio != 1 else "theory: a = b": ratio * a}
    eta = fixed.get("learning_rate")
    if problem == "quadratic" and optimizer == "adam" and eta is not None and (eps_root or eps):
        steepest = max(attrs["problem_arguments"]["spectrum"])
        b = float(theory.adam_border(steepest, eta, eps_root, eps))
        return {f"theory: b = {b:.3g}": np.full_like(a, b)}
    return {}


def _given(dataset: xr.Dataset, x: str, y: str, lines: Lines) -> dict[str, tuple[Points, Points]]:
    """Points of the functions and formulas in `lines`, by name."""
    found = {}
    lines = [lines] if isinstance(lines, str) else lines
    if lines and (names := [name for name in (x, y) if is_category(dataset[name])]):
        raise bad("line", next(iter(lines)), f"left out: {names[0]} is an axis of names")
    for name in lines:
        along, function = (x, lines[name]) if isinstance(lines, Mapping) else read_line(name, x, y)
        values = _spaced(dataset, along)
        result = np.asarray(function(values), float)
        if result.shape not in ((), values.shape):
            raise bad(f"lines[{name!r}]", result.shape, f"one number for each value of {along}")
        points = values, np.broadcast_to(result, values.shape)
        found[name] = points if along == x else points[::-1]
    return found


def _spaced(dataset: xr.Dataset, axis: str) -> Points:
    """`POINTS` values from the lowest value of an axis to the highest."""
    low, high = (float(v) for v in (dataset[axis].min(), dataset[axis].max()))
    space = np.geomspace if is_log(dataset[axis]) else np.linspace
    return space(low, high, POINTS)


def _inside(
    dataset: xr.Dataset, x: str, y: str, along: Points, above: Points
) -> tuple[Points, Points]:
    """The points that lie between the lowest and the highest values of both axes."""
    inside = np.isfinite(along) & np.isfinite(above)
    for axis, values in ((x, along), (y, above)):
        low, high = float(dataset[axis].min()), float(dataset[axis].max())
        inside &= (values >= low - 1e-9 * abs(low)) & (values <= high + 1e-9 * abs(high))
    return along[inside], above[inside]


def name_places(
    dataset: xr.Dataset, x: str, y: str, lines: Sequence[Line], marks: Sequence[tuple] = ()
) -> list[Name]:
    """Place the names of lines near their upper ends, without overlap with each other and marks.

    The first two fields of a mark are its coordinates on the horizontal and the vertical axis.
    """
    taken = [
        _box(across, up, letters=8, left=None, above=True)
        for across, up in zip(
            _parts(dataset, x, [mark[0] for mark in marks]),
            _parts(dataset, y, [mark[1] for mark in marks]),
            strict=True,
        )
    ]
    chosen = []
    for line in lines:
        across, up = _parts(dataset, x, line.x), _parts(dataset, y, line.y)
        tried = [
            (point, left, above, _box(across[point], up[point], len(line.name), left, above))
            for point in np.linspace(line.x.size - 1, 0, 12).astype(int)
            for left, above in ((True, False), (False, False), (True, True), (False, True))
        ]
        within = [place for place in tried if min(place[3]) >= 0 and max(place[3]) <= 1]
        free = [place for place in within if not any(_overlap(place[3], box) for box in taken)]
        point, left, above, box = (free or within or tried)[0]
        taken.append(box)
        chosen.append(Name(float(line.x[point]), float(line.y[point]), left, above))
    return chosen


def _parts(dataset: xr.Dataset, axis: str, values: Sequence[float] | Points) -> list[float]:
    """Positions of values on an axis, from 0 at its lower end to 1 at its upper end."""
    low, high = cell_edges(dataset, axis)[[0, -1]]
    places = np.asarray(values, float)
    if is_log(dataset[axis]):
        return (np.log(places / low) / np.log(high / low)).tolist()
    return ((places - low) / (high - low)).tolist()


def _box(across: float, up: float, letters: int, left: bool | None, above: bool) -> Box:
    """Box of a name next to a point; `left` is `None` for a centred name."""
    width = letters * LETTER
    start = across + (-width / 2 if left is None else -GAP - width if left else GAP)
    bottom = up + (GAP if above else -GAP - HEIGHT)
    return start, bottom, start + width, bottom + HEIGHT


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
