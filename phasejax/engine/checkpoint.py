"""The state of a task in a file, so that a kill loses a minute of it and not all.

A checkpoint is a file in a folder of the store. It is replaced atomically, at most once per minute
and for at most a fiftieth of the time, and removed as soon as the task is in the store.
"""

import hashlib
import time
from pathlib import Path

import jax
import numpy as np
from jaxtyping import PyTree

from .._files import replacing
from ..grid import Cells

SECONDS = 60.0
"""Least time between two checkpoints."""
SHARE = 0.02
"""Share of the time that writing them may take."""


class Checkpoint:
    """The checkpoint of one task.

    **Arguments:**

    - `folder`: where it is kept; `None` keeps nothing.
    - `cells`: those of the task, by which it is found again.
    """

    def __init__(self, folder: Path | None, cells: Cells) -> None:
        digest = hashlib.sha256(np.ascontiguousarray(cells, np.int64).tobytes()).hexdigest()[:16]
        self.path = None if folder is None else folder / f"{digest}.npz"
        self._next = time.monotonic() + SECONDS

    def load(self, like: PyTree) -> PyTree[np.ndarray] | None:
        """Return what was kept, in the structure of `like`; `None` if there is nothing like it."""
        if self.path is None or not self.path.exists():
            return None
        leaves, structure = jax.tree.flatten(like)
        try:
            with np.load(self.path, allow_pickle=False) as file:
                kept = [file[str(i)] for i in range(len(file.files))]
        except Exception:  # whatever a damaged file may raise: the task starts from the beginning
            return None
        if [(x.shape, x.dtype) for x in kept] != [(x.shape, x.dtype) for x in leaves]:
            return None
        return jax.tree.unflatten(structure, kept)

    def save(self, tree: PyTree) -> None:
        """Write arrays, if the last time is long enough ago."""
        if self.path is None or time.monotonic() < self._next:
            return
        begin = time.monotonic()
        self.path.parent.mkdir(exist_ok=True)
        leaves = {str(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(tree))}
        with replacing(self.path) as file:
            np.savez(file, allow_pickle=False, **leaves)
        end = time.monotonic()
        self._next = end + max(SECONDS, (end - begin) / SHARE)

    def remove(self) -> None:
        """Remove it: the task is in the store."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
