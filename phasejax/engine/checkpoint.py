"""Where a batch of cells has got to, in a file, so that a kill loses minutes of it and not all.

A checkpoint is written in a folder of the store, at one stroke, once a minute at most and for a
fiftieth of the time at most, and is gone as soon as the batch is in the store.
"""

import hashlib
import os
import time
from pathlib import Path

import jax
import numpy as np
from jaxtyping import PyTree

from ..grid import Cells

SECONDS, SHARE = 60.0, 0.02
"""Time between two checkpoints at least, and the share of the time that writing them may take."""


class Checkpoint:
    """The checkpoint of one batch of cells.

    **Arguments:**

    - `folder`: where it is kept; `None` keeps nothing.
    - `cells`: the batch, by which it is found again.
    """

    def __init__(self, folder: Path | None, cells: Cells) -> None:
        digest = hashlib.sha256(np.ascontiguousarray(cells, np.int64).tobytes()).hexdigest()[:16]
        self.path = None if folder is None else folder / f"{digest}.npz"
        self._next = time.monotonic() + SECONDS

    def load(self, like: PyTree) -> PyTree[np.ndarray] | None:
        """Return what was kept, in the structure of `like`; `None` if there is nothing such."""
        if self.path is None or not self.path.exists():
            return None
        leaves, structure = jax.tree.flatten(like)
        try:
            with np.load(self.path, allow_pickle=False) as file:
                kept = [file[str(i)] for i in range(len(file.files))]
        except Exception:  # whatever a damaged file may raise: the batch starts from the beginning
            return None
        if [(x.shape, x.dtype) for x in kept] != [(x.shape, x.dtype) for x in leaves]:
            return None
        return jax.tree.unflatten(structure, kept)

    def save(self, tree: PyTree) -> None:
        """Keep arrays, if the last time is long enough ago."""
        if self.path is None or time.monotonic() < self._next:
            return
        begin = time.monotonic()
        self.path.parent.mkdir(exist_ok=True)
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                leaves = {str(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(tree))}
                np.savez(file, allow_pickle=False, **leaves)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        end = time.monotonic()
        self._next = end + max(SECONDS, (end - begin) / SHARE)

    def remove(self) -> None:
        """Forget it: the batch is in the store."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
