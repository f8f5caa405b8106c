"""Lines over a plane: what theory says of it, what a user supposes, and where their names go."""

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
"""Functions of the horizontal axis, by what the figure shall call them; or formulas: "b = 12 a"."""
POINTS = 257
LETTER, HEIGHT, GAP = 1 / 45, 0.055, 0.02
"""Of a line's name, in parts of a panel: width of a letter, height, distance from the line."""
Points = Float[np.ndarray, " _"]
Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in parts of a panel."""


class Line(NamedTuple):
    """One line: what it is called, and its points along the horizontal and the vertical axis."""

    name: str
    x: Points
    y: Points


class Name(NamedTuple):
    """Where a line's name stands: beside a point, to its left or right and above or below."""

    x: float
    y: float
    left: bool
    above: bool


def lines_over(dataset: xr.Dataset, x: str, y: str, lines: Lines | None = None) -> list[Line]:
    """Return the lines to draw over a plane, each with the points that are inside.

    First a = b, where a and b are the paper's, then what `phasejax.theory` says of the sweep's
    problem, then `lines`. Raises a `ValueError` if a formula is none, or if a function does not
    return one number a point.
    """
    found = _known(dataset, x, y) | _given(dataset, x, y, lines or ())
    drawn = [Line(name, *_inside(dataset, x, y, *points)) for name, points in found.items()]
    return [line for line in drawn if line.x.size > 1]


def _known(dataset: xr.Dataset, x: str, y: str) -> dict[str, tuple[Points, Points]]:
    """What holds for b as a function of a, by name."""
    module = dataset.attrs.get("optimizer_module", "")
    if {x, y} != {"a", "b"} or not module.startswith("phasejax."):
        return {}
    a = _spaced(dataset, "a")
    border = _border(dataset, a)
    curves = {"a = b": a, **border} if "theory: a = b" not in border else border
    return {name: (a, b) if x == "a" else (b, a) for name, b in curves.items()}


def _border(dataset: xr.Dataset, a: Points) -> dict[str, Points]:
    """The border that theory knows for Adam on this problem, if it knows one."""
    attrs = dataset.attrs
    problem = attrs.get("problem_builtin", "")  # a user's own may have any name
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
    """Lines that are asked for, by name: points of functions and of formulas."""
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
    """Many values from one end of an axis to the other."""
    low, high = (float(v) for v in (dataset[axis].min(), dataset[axis].max()))
    space = np.geomspace if is_log(dataset[axis]) else np.linspace
    return space(low, high, POINTS)


def _inside(
    dataset: xr.Dataset, x: str, y: str, along: Points, above: Points
) -> tuple[Points, Points]:
    inside = np.isfinite(along) & np.isfinite(above)
    for axis, values in ((x, along), (y, above)):
        low, high = float(dataset[axis].min()), float(dataset[axis].max())
        inside &= (values >= low - 1e-9 * abs(low)) & (values <= high + 1e-9 * abs(high))
    return along[inside], above[inside]


def name_places(
    dataset: xr.Dataset, x: str, y: str, lines: Sequence[Line], marks: Sequence[tuple] = ()
) -> list[Name]:
    """Choose where the names of lines stand: near their upper ends, clear of each other and marks.

    `marks` begin with a place on either axis.
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
    """Where values stand on an axis, from 0 at its lower end to 1."""
    low, high = cell_edges(dataset, axis)[[0, -1]]
    places = np.asarray(values, float)
    if is_log(dataset[axis]):
        return (np.log(places / low) / np.log(high / low)).tolist()
    return ((places - low) / (high - low)).tolist()


def _box(across: float, up: float, letters: int, left: bool | None, above: bool) -> Box:
    """Room of a name beside a point; `left` is `None` for one that is centred."""
    width = letters * LETTER
    start = across + (-width / 2 if left is None else -GAP - width if left else GAP)
    bottom = up + (GAP if above else -GAP - HEIGHT)
    return start, bottom, start + width, bottom + HEIGHT


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
