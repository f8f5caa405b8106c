"""The grid of hyper-parameters, and its division into tiles."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from ._check import bad, whole
from ._types import AnyArray, Whole
from .identity import label

Tile = tuple[slice, ...]
"""A rectangle of cells, one slice per axis: one chunk of every stored variable."""
Cells = Int[np.ndarray, "_"]
"""Indices of cells in the flattened grid, last axis fastest."""
MOST_VALUES = 1_000_000
"""Most values of an axis that is given as a range."""
Number = float | np.number
"""Type of the ends of a range."""
LARGEST_SEED = 2**63 - 1
"""Largest seed that `jax.random.key` accepts."""


@dataclass(frozen=True, repr=False)
class Axis:
    """Values of one hyper-parameter.

    - `values`: numbers, or bools, strings or functions, in the order of the results.
    - `scale`: spacing in a figure: "log", "linear", or "category" for values that are not numbers.
    - `even`: whether the values are evenly spaced by that scale, so that
        `phasejax.sweep(refine=...)` can insert others between them.
    """

    values: tuple[Any, ...]
    scale: str
    even: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        if self.scale == "category":
            return f"<{', '.join(map(str, self.labels))}>"
        low, high = min(self.values), max(self.values)
        return f"<{low:g} to {high:g}, {len(self)} values, {self.scale}>"

    @property
    def labels(self) -> list[Any]:
        """Values as results store them: numbers and bools unchanged, others by name."""
        if self.scale != "category":
            return list(self.values)
        if all(isinstance(value, bool) for value in self.values):
            return list(self.values)
        return [str(label(value)) for value in self.values]

    def between(self, low: float, high: float, count: int) -> "Axis":
        """Return `count` values from `low` to `high`, spaced by this axis's scale."""
        return (log_axis if self.scale == "log" else linear_axis)(low, high, count)


def log_axis(low: Number, high: Number, count: Whole) -> Axis:
    """`count` values from `low` to `high`, evenly spaced by logarithm; 0 < low < high."""
    count = _check_range(low, high, count)
    if low <= 0:
        raise bad("low", low, "greater than 0 on a logarithmic axis")
    return Axis(tuple(np.geomspace(low, high, count).tolist()), "log", even=True)


def linear_axis(low: Number, high: Number, count: Whole) -> Axis:
    """`count` evenly spaced values from `low` to `high`; low < high."""
    count = _check_range(low, high, count)
    return Axis(tuple(np.linspace(low, high, count).tolist()), "linear", even=True)


def _check_range(low: Number, high: Number, count: Whole) -> int:
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise bad(name, value, "a number")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise bad("low:high", f"{low:g}:{high:g}", "a range of finite numbers, low < high")
    return whole("count", count, least=2, most=MOST_VALUES)


def explicit_axis(name: str, values: Sequence[Any] | AnyArray) -> Axis:
    """An axis of given values; logarithmic in a figure if they are positive and span a decade."""
    listed = [
        value.item() if np.ndim(value) == 0 and hasattr(value, "item") else value
        for value in values
    ]
    if not listed:
        raise bad(name, values, "a list of one or more values")
    if name == "seed":
        listed = [whole(name, value, least=0, most=LARGEST_SEED) for value in listed]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in listed):
        axis = Axis(tuple(listed), "category")
        if len({str(text) for text in axis.labels}) != len(axis):
            raise bad(name, axis.labels, "a list of values with different names")
        return axis
    if not all(map(_is_finite, listed)):
        raise bad(name, listed, "a list of finite numbers")
    if len(set(listed)) != len(listed):
        raise bad(name, listed, "a list without repeated numbers")
    wide = name != "seed" and min(listed) > 0 and max(listed) >= 10 * min(listed)
    return Axis(tuple(listed), "log" if wide else "linear")


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the range of floating-point numbers
        return False


class Grid:
    """Hyper-parameters of a sweep: each is an axis or fixed.

    ```python
    Grid(a=log_axis(0.3, 300, 24), b=[1, 10, 100], learning_rate=1e-3, seed=[0, 1, 2])
    ```

    **Arguments:** names of the optimizer's arguments. Axes have this order in the results. The
    value of an axis is a `log_axis`, a `linear_axis`, a list, a tuple, a range or an array of one
    dimension; every other value is fixed. `seed` draws the starting point; it can be an axis too,
    and is fixed at 0 by default.

    An axis can have bools, strings or functions as values (`nesterov=[False, True]`). It can also
    be an argument on whose value the optimizer branches in Python (`warmup_steps=[100, 1000]`). In
    both cases one program per value is compiled.
    """

    axes: dict[str, Axis]
    fixed: dict[str, Any]

    def __init__(self, **hyperparameters: Any) -> None:
        self.axes, self.fixed = {}, {"seed": 0}
        for name, value in hyperparameters.items():
            if isinstance(value, Axis):
                self.axes[name] = explicit_axis(name, value.values) if name == "seed" else value
            elif isinstance(value, list | tuple | range) or hasattr(value, "__array__"):
                self._add(name, value)
            else:
                self.fixed[name] = value
        if "seed" in self.axes:
            del self.fixed["seed"]
        else:
            self.fixed["seed"] = whole("seed", self.fixed["seed"], least=0, most=LARGEST_SEED)
        if not self.axes:
            raise ValueError(
                f"Grid({', '.join(hyperparameters)}) has no axis: give one or more "
                "hyper-parameters several values, such as a=log_axis(0.3, 300, 24)"
            )

    def _add(self, name: str, values: Any) -> None:
        """Add a list or an array: an axis if it has one dimension, a number if it has none."""
        shape = np.shape(values) if hasattr(values, "__array__") else _shape(values)
        if len(shape) > 1:
            raise bad(name, f"of shape {shape}", "a number, or a list or array of one dimension")
        if shape:
            self.axes[name] = explicit_axis(name, values)
        else:
            self.fixed[name] = np.asarray(values).item()

    def __repr__(self) -> str:
        named = {**self.axes, **self.fixed}
        return f"Grid({', '.join(f'{name}={value!r}' for name, value in named.items())})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each axis."""
        return tuple(len(axis) for axis in self.axes.values())

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def corners(self) -> Iterator[dict[str, Any]]:
        """All combinations of the lowest and highest values of all axes except `seed`.

        For an axis of categories, all values are used.
        """
        ends = {
            name: axis.values
            if axis.scale == "category"
            else sorted({min(axis.values), max(axis.values)})
            for name, axis in self.axes.items()
            if name != "seed"
        }
        for corner in itertools.product(*ends.values()):
            yield dict(zip(ends, corner, strict=True))

    def cells(self, cells: Cells) -> dict[str, np.ndarray]:
        """Values of the axes in given cells, `[cells]` each."""
        places = self.places(cells)
        return {name: _array(axis)[places[name]] for name, axis in self.axes.items()}

    def places(self, cells: Cells) -> dict[str, Int[np.ndarray, "_"]]:
        """Indices of given cells along the axes, `[cells]` each."""
        return dict(zip(self.axes, np.unravel_index(cells, self.shape), strict=True))

    def with_counts(self, counts: Mapping[str, int]) -> "Grid":
        """Return the same grid, with other numbers of values on the even axes in `counts`."""
        others = {
            name: self.axes[name].between(
                self.axes[name].values[0], self.axes[name].values[-1], count
            )
            for name, count in counts.items()
        }
        return Grid(**{**self.axes, **others, **self.fixed})


def _array(axis: Axis) -> np.ndarray:
    """Values of an axis; values that are not numbers have the dtype object."""
    if axis.scale != "category":
        return np.asarray(axis.values)
    values = np.empty(len(axis), object)
    values[:] = axis.values
    return values


def _shape(values: Sequence[Any]) -> tuple[int, ...]:
    """Shape of a list, or of a list of lists."""
    inner = values[0] if len(values) else None
    nested = isinstance(inner, list | tuple | range)
    return (len(values), len(inner)) if nested else (len(values),)


def by_tile(
    cells: Cells, shape: tuple[int, ...], tile_shape: tuple[int, ...]
) -> Iterator[tuple[Tile, Cells]]:
    """Group cells by tile; tiles have the shape `tile_shape`, or less at the end of an axis.

    Yields each tile with the positions of its cells in `cells`, in ascending order.
    """
    if not len(cells):
        return
    pieces = tuple(-(-size // side) for size, side in zip(shape, tile_shape, strict=True))
    index = np.stack(np.unravel_index(cells, shape)) // np.array(tile_shape)[:, None]
    number = np.asarray(np.ravel_multi_index(tuple(index), pieces))
    order = np.argsort(number, kind="stable")
    for where in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
        corner = index[:, where[0]].tolist()
        sides = zip(corner, tile_shape, shape, strict=True)
        yield (
            tuple(slice(i * side, min((i + 1) * side, size)) for i, side, size in sides),
            where,
        )


def rows(cells: Cells) -> Cells | slice:
    """Return ascending positions as a slice if they are consecutive, so that indexing copies none.

    **Example:** `rows(np.array([2, 3, 4]))` is `slice(2, 5)`.
    """
    consecutive = len(cells) and cells[-1] - cells[0] == len(cells) - 1
    return slice(cells[0], cells[-1] + 1) if consecutive else cells


def tile_shape(shape: tuple[int, ...], cells: int) -> tuple[int, ...]:
    """Shape of at most `cells` cells that covers a grid with the fewest tiles.

    Among shapes with the same number of tiles, it is the one with the smallest longest side. The
    search tries, for every number of pieces along each axis but the last, the smallest side that
    makes this many pieces.
    """
    best: tuple[tuple[int, int], tuple[int, ...]] | None = None
    for head in itertools.product(*[_sides(size, cells) for size in shape[:-1]]):
        room = cells // math.prod(head)
        if room == 0:
            continue
        pieces = -(-shape[-1] // min(room, shape[-1]))
        tried = (*head, -(-shape[-1] // pieces))
        tiles = math.prod(-(-size // side) for size, side in zip(shape, tried, strict=True))
        rank = (tiles, max(tried))
        if best is None or rank < best[0]:
            best = rank, tried
    assert best is not None
    return best[1]


def _sides(size: int, cells: int) -> list[int]:
    """Sides to try: for each number of pieces, the smallest side that needs no more pieces."""
    return sorted({-(-size // pieces) for pieces in range(1, size + 1)} & set(range(1, cells + 1)))
