"""Results on disk: a Zarr v3 group that xarray opens, written tile by tile.

A tile is one chunk of every variable. Zarr replaces a chunk atomically. The chunks of a tile are on
the disk before its chunk of `status` says which of its cells are there. So a cell is in the store
with all its variables or not at all, whenever the process is killed.
"""

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.storage
from filelock import FileLock, Timeout
from jaxtyping import Float, Int

from .._check import bad
from .._platform import flush
from ..envelope import Envelope
from ..grid import Cells, Tile, by_tile
from ..regimes import LABELS
from ..regimes.codes import COMPUTED, INFERRED, Labels
from .format import STATUS, WORK, consolidate, is_other, is_ours, lay_out, nodes, strangers
from .opening import StoreError, open_dataset, reading, regime_first

PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")
"""Ending of the names under which Zarr begins to write a file."""
WAIT = 0.2
"""Seconds to wait for a lock: it may be about to be given back."""


class Store:
    """One sweep's results. `path=None` keeps them in memory.

    As a context manager, it gives its lock back at the end.

    **Arguments:**

    - `path`: a folder; its parents are made as needed.
    - `created`: write only to the store with this time of creation, for the process that holds the
        lock.
    """

    def __init__(self, path: str | Path | None, created: str | None = None) -> None:
        self.path = None if path is None else Path(path).absolute()
        self._storage: Any = zarr.storage.MemoryStore() if path is None else str(self.path)
        self._created = created
        self._lock: FileLock | None = None
        self._made = False

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def checkpoints(self) -> Path | None:
        """The folder in the store for the checkpoints of long tasks."""
        return None if self.path is None else self._work / "checkpoints"

    @property
    def address(self) -> tuple[Path, str] | None:
        """Where a worker finds the store, and its time of creation; `None` if it is in memory."""
        if self.path is None:
            return None
        return self.path, str(zarr.open_group(self._storage, mode="r").attrs["created"])

    @property
    def _work(self) -> Path:
        assert self.path is not None
        return self.path / WORK

    def exists(self) -> bool:
        """Say whether a folder is already there. Raises a `ValueError` if it is something else."""
        if self.path is None or not os.path.lexists(self.path):
            return False
        if not self.path.is_dir():
            link = self.path.is_symlink() and not self.path.exists()
            found = "a link to what is not there" if link else "a file"
            raise bad("store", str(self.path), f"a folder, or a new path; it is {found}")
        return True

    def laid_out(self) -> bool:
        """Say whether there are results to go on with, and not only what a kill left of a start."""
        return self.path is not None and (self.path / "zarr.json").exists()

    def lock(self) -> None:
        """Keep others from writing until `release`, and clear up after a process that was killed.

        Raises a `ValueError` if another process writes to it, or if phasejax did not write it.
        """
        path = str(self.path)
        if not is_ours(Path(path)):
            allowed = "a Zarr v3 group that phasejax wrote, or a new path; nothing is changed there"
            raise bad("store", path, allowed)
        try:
            self._work.mkdir(exist_ok=True)
            lock = FileLock(self._work / "lock", timeout=WAIT)
            lock.acquire()
        except Timeout as error:
            allowed = f"one that nobody else writes to; {self._holder()} does at the moment"
            raise bad("store", path, allowed) from error
        except FileNotFoundError:  # its holder has just removed the folder
            return self.lock()
        except OSError as error:
            raise bad("store", path, f"a folder that can be written: {error}") from error
        self._lock = lock
        with self._told():
            self._work.joinpath("holder").write_text(
                f"{os.getpid()} on {socket.gethostname()}", encoding="utf-8"
            )
            if self.laid_out():  # nothing of it has been moved yet: it stays
                _remove(self._work / "ready")
            self._move_in()
            self._tidy(finished=False)

    def release(self) -> None:
        """Give the lock back, and leave nothing that is of no further use."""
        if self._lock is None or self.path is None:
            return
        with contextlib.suppress(OSError):
            _remove(self._work / "new")
        for name in ("holder", "lock"):
            with contextlib.suppress(OSError):
                (self._work / name).unlink()  # whoever waits for it sees that it is gone
        self._lock.release()
        self._lock = None
        for folder in (self._work / "checkpoints", self._work, *[self.path] * self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()  # if it is empty

    def create(
        self, coords: xr.Dataset, curves: Collection[str], labels: Mapping[str, dict]
    ) -> None:
        """Write coordinates, attributes and empty variables: arguments as of `format.lay_out`.

        Replaces the Zarr group of a store that has been locked; other files in it stay.
        """
        if self.path is None:
            lay_out(self._storage, coords, curves, labels)
            return
        if self._lock is None:
            self._make()
        with self._told():
            new = self._work / "new"
            _remove(new)
            lay_out(str(new), coords, curves, labels)
            others = [name for name in nodes(new) if is_other(self.path / name)]
            others += strangers(self.path)
            if others:
                raise bad("store", str(self.path), f"without {others}, which phasejax did not make")
            new.rename(self._work / "ready")
            self._move_in()

    def _make(self) -> None:
        """Make the folder of a new store, and lock it."""
        assert self.path is not None
        with self._told():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.path.mkdir()
                self._made = True
        self.lock()  # names the process that makes it, if another one does
        if not self._made:
            raise bad("store", str(self.path), "a new path; it has just been made")

    def _move_in(self) -> None:
        """Put a new layout in place of the old one, or go on where a killed process stopped.

        `ready` is a whole layout; it is called `cleared` as soon as the old one is out of its way.
        A group without `zarr.json` is not whole: it goes first, and from there on the new layout
        counts, and it comes last.
        """
        assert self.path is not None
        ready, cleared, old = (self._work / name for name in ("ready", "cleared", "old"))
        if ready.exists():
            _remove(old)
            old.mkdir()
            for name in sorted({*nodes(self.path), *nodes(ready)}, key="zarr.json".__ne__):
                if os.path.lexists(self.path / name):
                    (self.path / name).rename(old / name)
            ready.rename(cleared)
        if cleared.exists():
            for name in sorted(nodes(cleared), key="zarr.json".__eq__):
                (cleared / name).rename(self.path / name)
            cleared.rmdir()
        _remove(old)

    def _holder(self) -> str:
        """Who holds the lock."""
        try:
            return f"process {self._work.joinpath('holder').read_text('utf-8')}"
        except (OSError, ValueError):
            return "another process"

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say which argument it was when the operating system refuses to lay out a store."""
        try:
            yield
        except OSError as error:
            self.release()
            allowed = f"a folder that can be written: {error}"
            raise bad("store", str(self.path), allowed) from error

    def write(self, cells: Cells, envelope: Envelope, labels: Mapping[str, np.ndarray]) -> None:
        """Write cells that have been computed, `[cells, window]` and `[cells]`, tile by tile.

        `cells` are in ascending order. No other process may write to the same tiles meanwhile.
        Raises a `StoreError`.
        """
        curves = {n: v for n, v in envelope._asdict().items() if v is not None}
        features = {n: v for n, v in labels.items() if n != "regime"}
        values = curves | features | {"regime": labels["regime"]}
        with self._writing() as group:
            status = _array(group, STATUS)
            for tile, where in by_tile(cells, status.shape, status.chunks):
                index = np.unravel_index(cells[where], status.shape)
                inside = tuple(i - side.start for i, side in zip(index, tile, strict=True))
                chosen = {name: array[where] for name, array in values.items()}
                self._write_tile(group, tile, inside, chosen)

    def _write_tile(
        self, group: zarr.Group, tile: Tile, inside: tuple, values: Mapping[str, np.ndarray]
    ) -> None:
        """Write some cells of a tile: first their values, then that they are there."""
        computed = np.full(len(values["regime"]), COMPUTED, np.int8)
        for step in (values, {STATUS: computed}):
            for name, array in step.items():
                _put(_array(group, name), tile, inside, array)
            self._sync(group, step, tile)

    def computed(self) -> np.ndarray:
        """Say of every cell, in the flattened grid, whether it has been computed and is there."""
        return self._read(STATUS).ravel() == COMPUTED

    def labels(self, cells: Cells) -> tuple[Int[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
        """Return regimes and margins of cells; −1 and nan if they are not there."""
        return self._read("regime").ravel()[cells], self._read("margin").ravel()[cells]

    def infer(self, labels: Labels, computed: np.ndarray) -> None:
        """Give the cells that were not computed their inferred labels."""
        status = self._read(STATUS)
        with self._writing() as group:
            _array(group, "regime")[...] = labels
            _array(group, STATUS)[...] = np.where(computed, status, INFERRED).astype(np.int8)

    def relabel(self, dataset: xr.Dataset) -> None:
        """Replace the labels of every cell by those of `dataset`; older stores lack some."""
        with self._writing() as group:
            for name in LABELS:
                if name in group and name in dataset:
                    _array(group, name)[...] = dataset[name].values

    def close(self, failures: list[str]) -> None:
        """Note which cells failed, and gather all metadata, as xarray likes it."""
        with self._writing() as group:
            group.attrs["failures"] = failures
            consolidate(self._storage)
        self._tidy(finished=True)

    def open(self) -> xr.Dataset:
        """Open the results; from disk, values are read when they are used."""
        if self.path is not None:
            return open_dataset(self.path)
        return regime_first(xr.open_zarr(self._storage, consolidated=False, chunks=None)).load()

    def _read(self, name: str) -> np.ndarray:
        with reading(self.path, name):
            return np.asarray(_array(zarr.open_group(self._storage, mode="r"), name)[...])

    def _sync(self, group: zarr.Group, names: Iterable[str], tile: Tile) -> None:
        """See to it that chunks and their names are on the disk, and survive a power cut."""
        if self.path is None:
            return
        for name in names:
            array = _array(group, name)
            sides = zip(tile, array.chunks, strict=False)
            chunk = tuple(side.start // size for side, size in sides)
            whole = chunk + (0,) * (array.ndim - len(chunk))
            file = self.path / name / array.metadata.encode_chunk_key(whole)
            for path in (file, file.parent) if file.exists() else ():  # an empty chunk has no file
                flush(path)

    def _tidy(self, finished: bool) -> None:
        """Take away what a killed process left half-written, and checkpoints of no further use."""
        if self.path is None or self.checkpoints is None:
            return
        for folder in (self.path / name for name in nodes(self.path) if name != "zarr.json"):
            for path in folder.rglob("*.partial"):
                if PARTIAL.search(path.name):
                    path.unlink(missing_ok=True)
        for path in self.path.glob("zarr.*.partial"):
            if PARTIAL.search(path.name):
                path.unlink(missing_ok=True)
        for path in self.checkpoints.glob("*" if finished else "*.partial"):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[zarr.Group]:
        """Open the group for writing; what the operating system refuses is a `StoreError`."""
        try:
            group = zarr.open_group(self._storage, mode="r+")
            if self._created not in (None, group.attrs["created"]):
                raise StoreError("it has been overwritten meanwhile")
            yield group
        except OSError as error:
            raise StoreError(
                f"store = '{self.path}' can't be written: {error.strerror or error}; finished "
                "tiles are kept: mend it, and resume"
            ) from error


def _remove(path: Path) -> None:
    """Take away a file, a folder with all that is in it, or a link and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _array(group: zarr.Group, name: str) -> zarr.Array:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _put(array: zarr.Array, tile: Tile, inside: tuple, values: np.ndarray) -> None:
    """Put values of some cells of a tile into its chunk; the others stay as they are."""
    shape = tuple(side.stop - side.start for side in tile)
    if len(values) == np.prod(shape):  # all, and in order
        array[tile] = values.reshape(*shape, *values.shape[1:])
        return
    with reading(str(array.store_path), array.basename):
        block = np.asarray(array[tile])
    block[inside] = values
    array[tile] = block
