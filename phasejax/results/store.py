"""Results on disk: a Zarr v3 group that xarray opens, written tile by tile.

A tile is one chunk of every variable. Zarr replaces a chunk atomically. The chunks of a tile are on
the disk before its chunk of `status` marks cells as computed. So a cell is in the store with all
its variables or not at all, whenever the process is killed.
"""

import contextlib
import functools
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from ..grid import Cells, Tile, by_tile, rows
from ..regimes import LABELS
from ..regimes.codes import COMPUTED, INFERRED, Labels
from .chunks import chunk_key, write_chunk
from .format import STATUS, WORK, consolidate, foreign_nodes, is_not_array, is_ours, lay_out, nodes
from .opening import StoreError, open_dataset, reading, regime_first

PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")
"""Ending of the names under which Zarr begins to write a file."""
AT_ONCE = 2
"""Variables of a tile that are written at once: compressing and the disk take turns."""
WAIT = 0.2
"""Seconds to wait for a lock: its holder may be about to release it."""


class Store:
    """One sweep's results. `path=None` keeps them in memory.

    As a context manager, it releases its lock at the end.

    **Arguments:**

    - `path`: a folder; its parents are made as needed.
    - `created`: write only to the store with this time of creation, for the process that holds the
        lock; by default that of the store at the first write.
    """

    def __init__(self, path: str | Path | None, created: str | None = None) -> None:
        self.path = None if path is None else Path(path).absolute()
        self._storage: Any = zarr.storage.MemoryStore() if path is None else str(self.path)
        self._created = created
        self._arrays: dict[str, zarr.Array] = {}
        self._lock: FileLock | None = None
        self._made_folder = False

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
        """Say whether the folder exists. Raises a `ValueError` if the path is something else."""
        if self.path is None or not os.path.lexists(self.path):
            return False
        if not self.path.is_dir():
            link = self.path.is_symlink() and not self.path.exists()
            found = "a link to a path that does not exist" if link else "a file"
            raise bad("store", str(self.path), f"a folder, or a new path; it is {found}")
        return True

    def laid_out(self) -> bool:
        """Say whether the layout is complete, so that the sweep can be resumed."""
        return self.path is not None and (self.path / "zarr.json").exists()

    def lock(self) -> None:
        """Keep others from writing until `release`, and repair what a killed process left.

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
        with self._naming_store():
            self._work.joinpath("holder").write_text(
                f"{os.getpid()} on {socket.gethostname()}", encoding="utf-8"
            )
            if self.laid_out():  # no part of the old layout has been moved: keep it
                _remove(self._work / "ready")
            self._install_layout()
            self._remove_leftovers(finished=False)

    def release(self) -> None:
        """Release the lock, and remove files and folders that are not needed any more."""
        if self._lock is None or self.path is None:
            return
        with contextlib.suppress(OSError):
            _remove(self._work / "new")
        for name in ("holder", "lock"):
            with contextlib.suppress(OSError):
                (self._work / name).unlink()  # a process that waits for this file tries again
        self._lock.release()
        self._lock = None
        for folder in (self._work / "checkpoints", self._work, *[self.path] * self._made_folder):
            with contextlib.suppress(OSError):
                folder.rmdir()  # if it is empty

    def create(
        self, coords: xr.Dataset, curves: Mapping[str, dict], labels: Mapping[str, dict]
    ) -> None:
        """Write coordinates, attributes and empty variables: arguments as of `format.lay_out`.

        Replaces the Zarr group of a store that has been locked; other files in it stay.
        """
        self._arrays.clear()
        self._created = None
        if self.path is None:
            lay_out(self._storage, coords, curves, labels)
            return
        if self._lock is None:
            self._make_folder()
        with self._naming_store():
            new = self._work / "new"
            _remove(new)
            lay_out(str(new), coords, curves, labels)
            consolidate(str(new))
            foreign = [name for name in nodes(new) if is_not_array(self.path / name)]
            foreign += foreign_nodes(self.path)
            if foreign:
                raise bad(
                    "store", str(self.path), f"without {foreign}, which phasejax did not make"
                )
            new.rename(self._work / "ready")
            self._install_layout()

    def _make_folder(self) -> None:
        """Make the folder of a new store, and lock it."""
        assert self.path is not None
        with self._naming_store():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.path.mkdir()
                self._made_folder = True
        self.lock()  # if another process makes the folder, the error names it
        if not self._made_folder:
            raise bad("store", str(self.path), "a new path; it has just been made")

    def _install_layout(self) -> None:
        """Replace the old layout by the new one, or continue where a killed process stopped.

        `ready` is a complete new layout; it is renamed to `cleared` once the old one has been moved
        to `old`. The group's `zarr.json`, without which a layout is not complete, is the first file
        that is moved out and the last that is moved in.
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
        """Describe the process that holds the lock."""
        try:
            return f"process {self._work.joinpath('holder').read_text('utf-8')}"
        except (OSError, ValueError):
            return "another process"

    @contextlib.contextmanager
    def _naming_store(self) -> Iterator[None]:
        """Turn an `OSError` into one that names the argument `store`, and release the lock."""
        try:
            yield
        except OSError as error:
            self.release()
            allowed = f"a folder that can be written: {error}"
            raise bad("store", str(self.path), allowed) from error

    def write(
        self, cells: Cells, curves: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
    ) -> None:
        """Write cells that have been computed, `[cells, window]` and `[cells]`, tile by tile.

        `cells` are in ascending order. No other process may write to the same tiles meanwhile.
        Raises a `StoreError`.
        """
        features = {n: v for n, v in labels.items() if n != "regime"}
        values = {**curves, **features, "regime": labels["regime"]}
        with self._writing() as group:
            status = self._array(group, STATUS)
            for tile, where in by_tile(cells, status.shape, status.chunks):
                index = np.unravel_index(cells[where], status.shape)
                inside = tuple(i - side.start for i, side in zip(index, tile, strict=True))
                place = rows(where)
                chosen = {name: array[place] for name, array in values.items()}
                self._write_tile(group, tile, inside, chosen)

    def _write_tile(
        self, group: zarr.Group, tile: Tile, inside: tuple, values: Mapping[str, np.ndarray]
    ) -> None:
        """Write some cells of a tile: first their values, then their status."""
        computed = np.full(len(values["regime"]), COMPUTED, np.int8)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for step in (values, {STATUS: computed}):
                put = functools.partial(self._write_variable, group, tile, inside)
                list(pool.map(put, step, step.values()))  # raises what a thread raised

    def _write_variable(
        self, group: zarr.Group, tile: Tile, inside: tuple, name: str, values: np.ndarray
    ) -> None:
        """Put values of some cells of a tile into the chunk of a variable, on the disk."""
        array = self._array(group, name)
        _put(array, tile, inside, values)
        self._sync(array, tile)

    def computed(self) -> np.ndarray:
        """Return for each cell, in the flattened grid, whether it has been computed."""
        return self._read(STATUS).ravel() == COMPUTED

    def labels(self, cells: Cells) -> tuple[Int[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
        """Return regimes and margins of cells; −1 and nan for missing cells."""
        return self._read("regime").ravel()[cells], self._read("margin").ravel()[cells]

    def infer(self, labels: Labels, computed: np.ndarray) -> None:
        """Give the cells that were not computed their inferred labels."""
        status = np.where(computed, self._read(STATUS), INFERRED).astype(np.int8)
        with self._writing() as group:
            for name, values in (("regime", labels), (STATUS, status)):
                array = self._array(group, name)
                array[...] = values
                for tile, _ in by_tile(np.arange(array.size), array.shape, array.chunks):
                    self._sync(array, tile)

    def relabel(self, dataset: xr.Dataset) -> None:
        """Replace the labels of every cell by those of `dataset`; older stores lack some."""
        with self._writing() as group:
            for name in LABELS:
                if name in group and name in dataset:
                    self._array(group, name)[...] = dataset[name].values

    def close(self, failures: list[str]) -> None:
        """Record which cells failed, keep metadata consolidated, and remove checkpoints."""
        with self._writing() as group:
            changed = group.attrs["failures"] != failures
            if changed:
                group.attrs["failures"] = failures
            if changed or (self.path and group.metadata.consolidated_metadata is None):
                consolidate(self._storage)
        self._remove_leftovers(finished=True)

    def open(self) -> xr.Dataset:
        """Open the results; from disk, values are read when they are used."""
        if self.path is not None:
            return open_dataset(self.path)
        return regime_first(xr.open_zarr(self._storage, consolidated=False, chunks=None)).load()

    def _read(self, name: str) -> np.ndarray:
        with reading(self.path, name):
            array = zarr.open_array(self._storage, path=name, mode="r")
            return np.asarray(array[...])

    def _array(self, group: zarr.Group, name: str) -> zarr.Array:
        """Return a variable to write to, opened once: its layout stays the same."""
        if name not in self._arrays:
            array = group[name]
            assert isinstance(array, zarr.Array)
            self._arrays[name] = array
        return self._arrays[name]

    def _sync(self, array: zarr.Array, tile: Tile) -> None:
        """Flush a chunk and its folder to the disk, so that they survive a power cut."""
        if self.path is None:
            return
        file = self.path / array.basename / chunk_key(array, tile)
        for path in (file, file.parent) if file.exists() else ():  # an empty chunk has no file
            flush(path)

    def _remove_leftovers(self, finished: bool) -> None:
        """Remove unfinished files of a killed process, and the checkpoints of a finished sweep."""
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
        """Open the group for writing; an `OSError` becomes a `StoreError`."""
        try:
            group = zarr.open_group(self._storage, mode="r+")
            created = str(group.attrs.get("created"))
            self._created = self._created or created
            if self._created != created:
                raise StoreError("it has been overwritten meanwhile")
            yield group
        except OSError as error:
            raise StoreError(
                f"store = '{self.path}' can't be written: {error.strerror or error}; finished "
                "tiles are kept: remove the cause, and resume"
            ) from error


def _remove(path: Path) -> None:
    """Remove a file, a folder with its contents, or a link without its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _put(array: zarr.Array, tile: Tile, inside: tuple, values: np.ndarray) -> None:
    """Put values of some cells of a tile into its chunk; the others stay as they are."""
    shape = tuple(side.stop - side.start for side in tile)
    if len(values) == np.prod(shape):  # all, and in order
        write_chunk(array, tile, values.reshape(*shape, *values.shape[1:]))
        return
    with reading(str(array.store_path), array.basename):
        block = np.asarray(array[tile])
    block[inside] = values
    write_chunk(array, tile, block)
