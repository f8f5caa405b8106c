"""Which cells of a fine grid to compute: all on a coarse lattice, then those along borders.

Each lattice halves the intervals of the one before. A new cell between cells of one regime is
*inferred* to have that regime; other new cells are computed. Then every inferred cell next to a
cell of another regime is computed too, until there is none. So both sides of every border between
regimes are computed. Only islands that lie between the cells of a coarser lattice can be missed.
The neighbours of a cell with a small margin are computed too: a border is near.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from ..regimes.codes import Labels

NEAR = 0.07
"""Decades of margin that count as near a border."""
UNKNOWN = -2
"""Label of a cell that is neither computed nor inferred yet; cells without a regime have −1."""


class Refinement:
    """Asks for cells, is told their labels, and infers the others.

    **Arguments:**

    - `shape`: cells of the fine grid along each axis.
    - `start`: cells of the coarse lattice along each refined axis, by axis number. Along the other
        axes every lattice has all cells, and none is inferred.

    `ask` returns the cells to compute next, by their numbers in the flattened grid, and none at the
    end; `tell` takes their labels and margins. What is asked depends only on what was told, so that
    a repeat, or a resumed sweep, asks for the same cells.
    """

    def __init__(self, shape: tuple[int, ...], start: Mapping[int, int]) -> None:
        self._start = start
        self.labels: Labels = np.full(shape, UNKNOWN, np.int8)
        self._margin = np.full(shape, np.inf)
        self.asked: Bool[np.ndarray, "*grid"] = np.zeros(shape, bool)
        self._lattices = _lattices(shape, start)
        self._lattice, self._finer = next(self._lattices), next(self._lattices, None)
        self._borders_asked = False

    def ask(self) -> Int[np.ndarray, " cells"]:
        """Return the cells to compute next; none if every cell has its label.

        On every lattice but the finest, cells next to another regime are asked for once: the next
        lattice finds what remains.
        """
        while True:
            mesh = np.ix_(*self._lattice)
            unknown = self.labels[mesh] == UNKNOWN
            if unknown.any():
                return self._numbers(mesh, unknown)
            if self._finer is None or not self._borders_asked:
                self._borders_asked = True
                bordering = self._next_to_another(mesh) & ~self.asked[mesh]
                if bordering.any() or self._finer is None:
                    return self._numbers(mesh, bordering)
            self._infer(self._finer)
            self._lattice, self._finer = self._finer, next(self._lattices, None)
            self._borders_asked = False

    def _numbers(self, mesh: tuple[np.ndarray, ...], wanted: np.ndarray) -> np.ndarray:
        """Numbers, in the flattened grid, of the wanted cells of a lattice."""
        chosen = np.zeros(self.labels.shape, bool)
        chosen[mesh] = wanted
        return np.flatnonzero(chosen)

    def tell(
        self,
        cells: Int[np.ndarray, " cells"],
        labels: Int[np.ndarray, " cells"],
        margin: Float[np.ndarray, " cells"],
    ) -> None:
        """Record labels and margins (nan for none) of cells that were asked for."""
        self.labels.flat[cells] = labels
        self._margin.flat[cells] = np.where(np.isnan(margin), np.inf, margin)
        self.asked.flat[cells] = True

    def _next_to_another(self, mesh: tuple[np.ndarray, ...]) -> np.ndarray:
        """Cells of the lattice with a neighbour of another regime or of a small margin."""
        labels, near = self.labels[mesh], self._margin[mesh] < NEAR
        found = np.zeros(labels.shape, bool)
        for axis in self._start:
            one, other = _pairs(axis, labels.ndim)
            differ = labels[one] != labels[other]
            found[one] |= differ | near[other]
            found[other] |= differ | near[one]
        return found

    def _infer(self, finer: list[np.ndarray]) -> None:
        """Give cells of a finer lattice the label of the cells around them, where they agree."""
        low, high = self.labels, self.labels
        for axis in self._start:
            below, above = _around(self._lattice[axis], finer[axis])
            low = np.minimum(np.take(low, below, axis), np.take(low, above, axis))
            high = np.maximum(np.take(high, below, axis), np.take(high, above, axis))
        mesh = np.ix_(*finer)
        known = self.labels[mesh]
        agreed = np.where(low == high, low, UNKNOWN)
        self.labels[mesh] = np.where(known == UNKNOWN, agreed, known)


def _lattices(shape: tuple[int, ...], start: Mapping[int, int]) -> Iterator[list[np.ndarray]]:
    """Yield indices along each axis: evenly spaced, then with the middles of all intervals."""
    lattice = [
        np.unique(np.linspace(0, size - 1, start[axis]).round().astype(int))
        if axis in start
        else np.arange(size)
        for axis, size in enumerate(shape)
    ]
    while True:
        yield lattice
        finer = [np.unique([*line, *((line[1:] + line[:-1]) // 2)]) for line in lattice]
        if all(len(line) == len(fine) for line, fine in zip(lattice, finer, strict=True)):
            return
        lattice = finer


def _around(
    coarse: Int[np.ndarray, " coarse"], fine: Int[np.ndarray, " fine"]
) -> tuple[Int[np.ndarray, " fine"], Int[np.ndarray, " fine"]]:
    """Nearest coarse index at or below, and at or above, each fine index."""
    place = np.searchsorted(coarse, fine, side="right") - 1
    return coarse[place], np.where(
        coarse[place] == fine, fine, coarse[np.minimum(place + 1, len(coarse) - 1)]
    )


def _pairs(axis: int, dims: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices that take neighbours along an axis: all cells but the last, all but the first."""
    before = [slice(None)] * axis
    after = [slice(None)] * (dims - axis - 1)
    return (*before, slice(None, -1), *after), (*before, slice(1, None), *after)
