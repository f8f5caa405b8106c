"""The plane of hyper-parameters, cut into tiles."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ._check import bad, whole

Tile = tuple[slice, ...]


@dataclass(frozen=True)
class Axis:
    """Values of one hyper-parameter, and how to space them in a figure: "log" or "linear"."""

    values: tuple[float, ...]
    scale: str

    def __len__(self) -> int:
        return len(self.values)


def log_axis(low: float, high: float, count: int) -> Axis:
    """`count` values from `low` to `high`, evenly spaced in the logarithm; 0 < low < high."""
    _check_range(low, high, count)
    if low <= 0:
        raise bad("low", low, "greater than 0 on a logarithmic axis")
    return Axis(tuple(np.geomspace(low, high, count).tolist()), "log")


def linear_axis(low: float, high: float, count: int) -> Axis:
    """`count` evenly spaced values from `low` to `high`; low < high."""
    _check_range(low, high, count)
    return Axis(tuple(np.linspace(low, high, count).tolist()), "linear")


def _check_range(low: float, high: float, count: int) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise bad("low:high", f"{low:g}:{high:g}", "a range of finite numbers, low < high")
    whole("count", count, least=2)


def explicit_axis(name: str, values: Sequence[float] | np.ndarray) -> Axis:
    """Values given one by one; in a figure logarithmic if they are positive and span a decade."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array) or not np.all(np.isfinite(array)):
        raise bad(name, values, "a list of finite numbers")
    if len(set(array.tolist())) != len(array):
        raise bad(name, values, "a list without repeated numbers")
    if name == "seed":
        for value in array.tolist():
            whole(name, value, least=0)
    wide = array.min() > 0 and array.max() >= 10 * array.min()
    return Axis(tuple(array.tolist()), "log" if wide else "linear")


class Grid:
    """Hyper-parameters of a sweep: each an axis or fixed.

    ```python
    Grid(a=log_axis(0.3, 300, 24), b=[1, 10, 100], learning_rate=1e-3, seed=[0, 1, 2])
    ```

    **Arguments:** the optimizer's own argument names, in the order the results shall have. A
    value is an axis (`log_axis`, `linear_axis`, or a list or array of numbers), or anything else
    and fixed. `seed` draws the starting point, and is an axis like the others, or fixed at 0.
    """

    axes: Mapping[str, Axis]
    fixed: Mapping[str, Any]

    def __init__(self, **hyperparameters: Any) -> None:
        self.axes, self.fixed = {}, {"seed": 0}
        for name, value in hyperparameters.items():
            if isinstance(value, Axis):
                self.axes[name] = value
            elif isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1:
                self.axes[name] = explicit_axis(name, value)
            else:
                self.fixed[name] = value.item() if isinstance(value, np.generic) else value
        if "seed" in self.axes:
            del self.fixed["seed"]
        else:
            whole("seed", self.fixed["seed"], least=0)
        if not self.axes:
            raise ValueError(
                f"Grid({', '.join(hyperparameters)}) has no axis: give one or more "
                "hyper-parameters several values, such as a=log_axis(0.3, 300, 24)"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each axis."""
        return tuple(len(axis) for axis in self.axes.values())

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def corners(self) -> Iterator[dict[str, float]]:
        """Lowest and highest values of all axes but `seed`, in every combination."""
        axes = {name: axis for name, axis in self.axes.items() if name != "seed"}
        ends = [sorted({min(axis.values), max(axis.values)}) for axis in axes.values()]
        for corner in itertools.product(*ends):
            yield dict(zip(axes, corner, strict=True))

    def cells(self, tile: Tile) -> dict[str, Float[np.ndarray, " cells"]]:
        """Values of the axes in the cells of a tile, last axis fastest."""
        values = [
            np.asarray(axis.values)[part]
            for axis, part in zip(self.axes.values(), tile, strict=True)
        ]
        mesh = np.meshgrid(*values, indexing="ij")
        return {name: array.ravel() for name, array in zip(self.axes, mesh, strict=True)}

    def tiles(self, tile_shape: tuple[int, ...]) -> list[Tile]:
        """Cut the grid into blocks of `tile_shape`; those at the far edges may be smaller."""
        parts = [
            [slice(i, min(i + step, size)) for i in range(0, size, step)]
            for size, step in zip(self.shape, tile_shape, strict=True)
        ]
        return list(itertools.product(*parts))


def cells_in(tile: Tile) -> int:
    """Count the cells of a tile."""
    return math.prod(side.stop - side.start for side in tile)


def tile_shape(shape: tuple[int, ...], cells: int) -> tuple[int, ...]:
    """Block of at most `cells` cells that covers a grid with the fewest tiles.

    Among equals it prefers sides that are alike. One axis at a time is cut, from the shapes that
    differ in how many pieces each axis falls into.
    """
    best: tuple[tuple[int, int], tuple[int, ...]] | None = None
    for head in itertools.product(*[_sides(size, cells) for size in shape[:-1]]):
        room = cells // math.prod(head)
        if room == 0:
            continue
        pieces = -(-shape[-1] // min(room, shape[-1]))
        block = (*head, -(-shape[-1] // pieces))
        tiles = math.prod(-(-size // side) for size, side in zip(shape, block, strict=True))
        rank = (tiles, max(block))
        if best is None or rank < best[0]:
            best = rank, block
    assert best is not None
    return best[1]


def _sides(size: int, cells: int) -> list[int]:
    """Sides worth trying: for each number of pieces the smallest side that needs no more."""
    return sorted({-(-size // pieces) for pieces in range(1, size + 1)} & set(range(1, cells + 1)))
