"""Results of many small tasks, written together.

A refinement asks for a few cells at a time. Written one by one, each of them would read and write
all variables of a tile, which takes longer than to compute the cells.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ..grid import Cells
from .opening import StoreError
from .store import Store

Values = Mapping[str, np.ndarray]
"""Variables by name, `[cells, window]` or `[cells]`."""
SHARE = 0.1
"""Largest share of the running time that is spent on writing."""


class Gathered:
    """A store that keeps results in memory until writing them is due, and writes them at its end.

    Writing is due when it took less than `SHARE` of the time since, so a kill loses about ten
    times what it takes; what took longer to compute is written at once.

    **Arguments:**

    - `store`: where to write.
    - `cells`: cells of the sweep, and `most`: cells that are kept in memory.
    """

    def __init__(self, store: Store, cells: int, most: int) -> None:
        self._store, self._most = store, most
        self._kept: list[tuple[Cells, Values, Values]] = []
        self._seen = np.zeros(cells, bool)
        self._regime, self._margin = np.zeros(cells, np.int8), np.zeros(cells)
        self._due = time.monotonic()

    @property
    def checkpoints(self) -> Path | None:
        """The folder of the store for the checkpoints of long tasks."""
        return self._store.checkpoints

    @property
    def address(self) -> tuple[Path, str] | None:
        """Where a worker finds the store, to which it writes itself."""
        return self._store.address

    def __enter__(self) -> "Gathered":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, StoreError):
            self.flush()

    def write(self, cells: Cells, curves: Values, labels: Values) -> None:
        """Take cells that have been computed, as `Store.write` does."""
        self._kept.append((cells, curves, labels))
        self._seen[cells] = True
        self._regime[cells], self._margin[cells] = labels["regime"], labels["margin"]
        many = sum(len(cells) for cells, *_ in self._kept) >= self._most
        if many or time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        if not self._kept:
            return
        begin = time.monotonic()
        cells, *variables = zip(*self._kept, strict=True)
        order = np.argsort(np.concatenate(cells))
        curves, labels = (
            {name: np.concatenate([each[name] for each in kept])[order] for name in kept[0]}
            for kept in variables
        )
        self._store.write(np.concatenate(cells)[order], curves, labels)
        self._kept = []
        self._due = time.monotonic() + (time.monotonic() - begin) / SHARE

    def labels(self, cells: Cells) -> tuple[Int[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
        """Return regimes and margins of cells, as `Store.labels` does."""
        others = cells[~self._seen[cells]]
        if len(others):
            self._regime[others], self._margin[others] = self._store.labels(others)
        return self._regime[cells], self._margin[cells]
