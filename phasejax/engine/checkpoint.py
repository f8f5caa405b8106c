"""The state of a running task in a file, so that a kill loses about a minute of its work.

A checkpoint is a file in a folder of the store. It is replaced atomically, at most once per minute
and for at most 2 % of the running time, and removed as soon as the task is in the store.
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
"""Least seconds between two checkpoints, and before the first."""
SHARE = 0.02
"""Largest share of the running time that is spent on writing checkpoints."""


class Checkpoint:
    """The checkpoint of one task.

    **Arguments:**

    - `folder`: where the file is; `None` writes nothing.
    - `cells`: cells of the task; their digest is the name of the file.
    """

    def __init__(self, folder: Path | None, cells: Cells) -> None:
        digest = hashlib.sha256(np.ascontiguousarray(cells, np.int64).tobytes()).hexdigest()[:16]
        self.path = None if folder is None else folder / f"{digest}.npz"
        self._next = time.monotonic() + SECONDS

    def load(self, like: PyTree) -> PyTree[np.ndarray] | None:
        """Return the saved arrays as a tree like `like`; `None` if shapes or dtypes differ."""
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
        """Write the arrays of a tree, if a checkpoint is due."""
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
        """Remove the file: the task is in the store."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
