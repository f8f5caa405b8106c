"""Lines over a plane, from theory or from the user, and the places of their names."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from .. import theory
from .._check import bad
from ..results.axes import cell_edges, is_category, is_log, selected
from .formula import read_line
from .style import OWN_SYMBOLS
from .titles import own

Lines = Mapping[str, Callable[[np.ndarray], np.ndarray]] | Sequence[str]
"""Functions of the values on the horizontal axis, by name; or formulas such as "b = 12 a"."""
ADAMS = ("adam", "adam_decays", "adam_flow")
"""Modules of phasejax's dynamics for which theory knows borders."""
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
    """The line of equal decays and the border from theory, by name, for phasejax's dynamics."""
    if not own(dataset):
        return {}
    for first, second, known in (("a", "b", _over_rates), ("delta", "gamma", _over_decays)):
        if {x, y} == {first, second}:
            lines = known(dataset, _spaced(dataset, first), _spaced(dataset, second))
            return {name: (u, v) if x == first else (v, u) for name, (u, v) in lines.items()}
    return {}


def _over_rates(dataset: xr.Dataset, a: Points, b: Points) -> dict[str, tuple[Points, Points]]:
    """The line a = b, and the border from theory, over a and b."""
    k, rest = _exponent(dataset), _rest(dataset)
    if k is not None:
        ratio = float(theory.power_border(1.0, k))
        if ratio == 1:
            return {"theory: a = b": (a, a)}
        return {"a = b": (a, a), f"theory: b = {ratio:g} a": (a, ratio * a)}
    if rest is not None:
        return {"a = b": (a, a), f"theory: b = {rest:.3g}": (a, np.full_like(a, rest))}
    return {"a = b": (a, a)}


def _over_decays(
    dataset: xr.Dataset, delta: Points, gamma: Points
) -> dict[str, tuple[Points, Points]]:
    """The line β₁ = β₂, and the border from theory, over δ and γ."""
    equal = {"β₁ = β₂": (delta, delta)}
    k, rest = _exponent(dataset), _rest(dataset)
    if k is not None:
        power = Fraction(2 * (k - 2) / k).limit_denominator(99)
        if power == 1:
            return {"theory: β₁ = β₂": (delta, delta)}
        border = np.asarray(theory.power_decay_border(delta, k))
        return {**equal, f"theory: β₂ = β₁^({power})": (delta, border)}
    if rest is not None:
        at = rest * selected(dataset)["learning_rate"]
        return {**equal, f"theory: δ = {at:.3g}": (np.full_like(gamma, at), gamma)}
    return equal


def _exponent(dataset: xr.Dataset) -> float | None:
    """k of |x|ᵏ/k, if theory knows where Adam converges on it."""
    attrs, eps = dataset.attrs, _epsilons(dataset)
    if eps != (0, 0) or attrs.get("problem_builtin") != "power":
        return None
    k = attrs["problem_arguments"]["k"]
    return k if k > 2 else None


def _rest(dataset: xr.Dataset) -> float | None:
    """The largest b at which Adam can come to rest, if theory knows it for this problem."""
    attrs, eps = dataset.attrs, _epsilons(dataset)
    eta = selected(dataset).get("learning_rate")
    if not isinstance(eta, int | float) or "time" in attrs:
        return None
    if eps is None or eps == (0, 0) or attrs.get("problem_builtin") != "quadratic":
        return None
    steepest = max(attrs["problem_arguments"]["spectrum"])
    return float(theory.adam_border(steepest, eta, *eps))


def _epsilons(dataset: xr.Dataset) -> tuple[float, float] | None:
    """ε inside and outside the root, if both are fixed and the dynamics are Adam's."""
    fixed = selected(dataset)
    kind = dataset.attrs["optimizer_module"].removeprefix("phasejax.dynamics.")
    if kind not in ADAMS or fixed.get("weight_decay", 0) != 0:
        return None
    eps = fixed.get("eps_root"), fixed.get("eps")
    return None if None in eps else eps  # pyright: ignore[reportReturnType]


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
        shown = name if isinstance(lines, Mapping) else _in_symbols(dataset, name)
        found[shown] = points if along == x else points[::-1]
    return found


def _in_symbols(dataset: xr.Dataset, formula: str) -> str:
    """Write the names of a formula as axes have them: `γ = 12 δ^3` for `gamma = 12 delta**3`."""
    symbols = OWN_SYMBOLS if own(dataset) else {}
    shown = re.sub(r"[^\W\d]\w*", lambda name: symbols.get(name[0], name[0]), formula)
    return shown.replace("**", "^")


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
    dataset: xr.Dataset,
    x: str,
    y: str,
    lines: Sequence[Line],
    marks: Sequence[tuple] = (),
    falling: Collection[str] = (),
) -> list[Name]:
    """Place the names of lines near their upper ends, without overlap with each other and marks.

    The first two fields of a mark are its coordinates on the horizontal and the vertical axis.
    `falling` names the axes whose values fall rightwards or upwards.
    """

    def parts(axis: str, values: Sequence[float] | Points) -> list[float]:
        places = _parts(dataset, axis, values)
        return [1 - place for place in places] if axis in falling else places

    taken = [
        _box(across, up, letters=8, left=None, above=True)
        for across, up in zip(
            parts(x, [mark[0] for mark in marks]),
            parts(y, [mark[1] for mark in marks]),
            strict=True,
        )
    ]
    chosen = []
    for line in lines:
        across, up = parts(x, line.x), parts(y, line.y)
        order = np.linspace(line.x.size - 1, 0, 12).astype(int)
        if (across[0], up[0]) > (across[-1], up[-1]):
            order = order[::-1]
        tried = [
            (point, left, above, _box(across[point], up[point], len(line.name), left, above))
            for point in order
            for left, above in ((True, False), (False, False), (True, True), (False, True))
        ]
        within = [place for place in tried if _overhang(place[3]) == 0]
        free = [place for place in within if not any(_overlap(place[3], box) for box in taken)]
        nearest = min(
            tried, key=lambda place: _overhang(place[3])
        )  # of a name wider than the panel
        point, left, above, box = (free or within or [nearest])[0]
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


def _overhang(box: Box) -> float:
    """How far a box reaches beyond the panel."""
    return sum(max(0, -place, place - 1) for place in box)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
