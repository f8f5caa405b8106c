"""Results on disk: a Zarr v3 group that xarray opens, written tile by tile.

A tile is one chunk of every variable. Zarr writes a chunk at one stroke. Those of a tile are on the
disk before its chunk of `status` says which of its cells are there: whatever comes between, a cell
is there with all its variables, or not at all.
"""

import contextlib
import os
import re
import shutil
import socket
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.storage
from filelock import FileLock, Timeout
from jaxtyping import Float, Int
from xarray.backends import BackendArray, ZarrBackendEntrypoint
from xarray.core import indexing

from ._check import bad
from ._platform import flush
from .envelope import LOSSES, Envelope
from .grid import Cells, Tile, by_tile
from .refine import COMPUTED, INFERRED, MISSING, Labels
from .regimes import NAMES, UNLABELLED, label_attributes

FORMAT = 3
"""Of the store: what is in it, beside what the configuration says."""
STATUS = "status"
STATUS_ATTRIBUTES = {
    "long_name": "where the cell's regime is from",
    "flag_values": [MISSING, COMPUTED, INFERRED],
    "flag_meanings": "missing computed inferred",
}
ENVELOPE_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "loss_min": {"long_name": "minimum of the loss in the window"},
    "loss_max": {"long_name": "maximum of the loss in the window"},
    "loss_mean": {"long_name": "mean of the loss in the window"},
    "log10_loss_mean": {
        "long_name": "mean of log10 of the loss less its minimum in the window",
        "units": "decades",
    },
    "relative_step": {"long_name": "last step of the window relative to the parameters"},
}

KINDS: dict[str, Any] = {
    "title": str,
    "problem": str,
    "problem_arguments": dict,
    "optimizer": str,
    "axes": dict,
    "fixed": dict,
    "windows": int,
    "dtype": str,
    "device": str,
    "lanes": int,
    "lanes_source": str,
    "failures": list,
    "jax_version": str,
}
"""Attributes that every store has, and of what kind they are."""
VARIABLES = (*LOSSES, "initial_loss", "regime", "margin")
"""... and variables, with one for each axis."""

WORK = ".phasejax"
"""Folder in a store for the files of the process that writes it; gone when that has ended."""
SIGNS = {
    "zarr.json": b'"phasejax_version"',
    f"{WORK}/ready/zarr.json": b'"phasejax_version"',
    f"{WORK}/cleared/zarr.json": b'"phasejax_version"',
    "./zarr.json": b'"phasejax_version"',  # once more: it may have been put there meanwhile
    "status/zarr.json": b"where the cell's regime is from",
    "regime/zarr.json": " ".join(NAMES).encode(),
}
"""What stands in which file of a folder that phasejax wrote; one of them is enough."""
PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")
"""Ending of the names under which Zarr begins to write a file."""
WAIT = 0.2
"""Seconds to wait for a lock: it may be about to be given back."""


class StoreError(OSError):
    """The store can't be written, or read. What is in it stays, and the sweep can be resumed."""


class Store:
    """One sweep's results. `path=None` keeps them in memory.

    As a context manager, it gives its lock back at the end.

    **Arguments:**

    - `path`: a folder; its parents are made as needed.
    - `created`: write only to the one of this time of creation, on behalf of who holds its lock.
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
        """The folder in the store, in which batches that take long keep where they are."""
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

        Raises a `ValueError` if somebody else writes, or if phasejax did not write what is there.
        """
        path = str(self.path)
        if not _is_ours(Path(path)):
            allowed = "a Zarr v3 group that phasejax wrote, or a new path; nothing is changed there"
            raise bad("store", path, allowed)
        try:
            self._work.mkdir(exist_ok=True)
            lock = FileLock(self._work / "lock", timeout=WAIT)
            lock.acquire()
        except Timeout as error:
            allowed = f"one that nobody else writes to; {self._holder()} does at the moment"
            raise bad("store", path, allowed) from error
        except FileNotFoundError:  # who held it has just taken the folder away
            return self.lock()
        except OSError as error:
            raise bad("store", path, f"a folder that can be written: {error}") from error
        self._lock = lock
        with self._told():
            self._work.joinpath("holder").write_text(f"{os.getpid()} on {socket.gethostname()}")
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
        self,
        coords: xr.Dataset,
        axes: tuple[str, ...],
        tile_shape: tuple[int, ...],
        dtype: str,
        labels: Mapping[str, dict],
    ) -> None:
        """Write coordinates, attributes and empty variables.

        Replaces the Zarr group of a store that has been locked; other files in it stay.

        **Arguments:**

        - `coords`: coordinates and scalars known before the run; its `sizes` include `axes` and
            `window`, its attributes are the configuration.
        - `axes`: names of the grid's axes, in order. `tile_shape`: cells of a tile along each.
        - `dtype`: of the losses.
        - `labels`: names and attributes of the labels and features, one value a cell.
        """
        if self.path is None:
            _lay_out(self._storage, coords, axes, tile_shape, dtype, labels)
            return
        if self._lock is None:
            self._make()
        with self._told():
            new = self._work / "new"
            _remove(new)
            _lay_out(str(new), coords, axes, tile_shape, dtype, labels)
            others = [name for name in _nodes(new) if _is_other(self.path / name)]
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
        self.lock()  # says who makes it, if somebody else does
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
            for name in sorted({*_nodes(self.path), *_nodes(ready)}, key="zarr.json".__ne__):
                if os.path.lexists(self.path / name):
                    (self.path / name).rename(old / name)
            ready.rename(cleared)
        if cleared.exists():
            for name in sorted(_nodes(cleared), key="zarr.json".__eq__):
                (cleared / name).rename(self.path / name)
            cleared.rmdir()
        _remove(old)

    def _holder(self) -> str:
        """Who holds the lock."""
        try:
            return f"process {self._work.joinpath('holder').read_text()}"
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

        `cells` are in ascending order. Nobody else may write to the same tiles at the same time.
        Raises a `StoreError`.
        """
        values = {n: v for n, v in envelope._asdict().items() if v is not None}
        values |= {n: v for n, v in labels.items() if n != "regime"}
        values["regime"] = labels["regime"]
        with self._writing() as group:
            status = _array(group, STATUS)
            for tile, where in by_tile(cells, status.shape, status.chunks):
                index = np.unravel_index(cells[where], status.shape)
                inside = tuple(i - side.start for i, side in zip(index, tile, strict=True))
                for name, array in values.items():
                    _put(_array(group, name), tile, inside, array[where])
                self._sync(group, values, tile)
                _put(status, tile, inside, np.full(len(where), COMPUTED, np.int8))
                self._sync(group, [STATUS], tile)

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
            for name in label_attributes("time" in dataset.attrs):
                if name in group:
                    _array(group, name)[...] = dataset[name].values

    def close(self, failures: list[str]) -> None:
        """Note which cells failed, and gather all metadata, as xarray likes it."""
        with self._writing() as group:
            group.attrs["failures"] = failures
            _consolidate(self._storage)
        self._tidy(finished=True)

    def open(self) -> xr.Dataset:
        """Open the results; from disk, values are read when they are used."""
        if self.path is not None:
            return open_dataset(self.path)
        return _in_order(xr.open_zarr(self._storage, consolidated=False, chunks=None)).load()

    def _read(self, name: str) -> np.ndarray:
        with _reading(self.path, name):
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
        for folder in (self.path / name for name in _nodes(self.path) if name != "zarr.json"):
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


def _lay_out(
    storage: Any,
    coords: xr.Dataset,
    axes: tuple[str, ...],
    tile_shape: tuple[int, ...],
    dtype: str,
    labels: Mapping[str, dict],
) -> None:
    """Write coordinates, attributes and empty variables."""
    coords.to_zarr(storage, zarr_format=3, consolidated=False, mode="w")
    group = zarr.open_group(storage, mode="r+")
    shape = tuple(coords.sizes[axis] for axis in axes)
    windows = coords.sizes["window"]
    for name, attributes in ENVELOPE_ATTRIBUTES.items():
        if "time" in coords.attrs and name not in LOSSES:
            continue  # a flow has no steps
        group.create_array(
            name,
            shape=(*shape, windows),
            chunks=(*tile_shape, windows),
            dtype=dtype,
            fill_value=np.nan,
            dimension_names=(*axes, "window"),
            attributes=attributes,
        )
    empty = {"regime": ("int8", UNLABELLED), STATUS: ("int8", MISSING)}
    for name, attributes in {**labels, STATUS: STATUS_ATTRIBUTES}.items():
        kind, fill = empty.get(name, ("float64", np.nan))
        group.create_array(
            name,
            shape=shape,
            chunks=tile_shape,
            dtype=kind,
            fill_value=fill,
            dimension_names=axes,
            attributes=attributes,
        )
    _consolidate(storage)


def _consolidate(storage: Any) -> None:
    with _quiet():
        zarr.consolidate_metadata(storage)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep two of Zarr's remarks to ourselves.

    That not all its languages know consolidated metadata, and that there are other files in a
    group's folder.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        warnings.filterwarnings("ignore", message="Object at .* is not recognized")
        yield


def _is_ours(folder: Path) -> bool:
    """Say whether phasejax wrote what is in a folder, even if it is damaged; or nothing is."""
    if all(path.name == WORK for path in folder.iterdir()):
        return True
    return any(
        (folder / file).is_file() and sign in (folder / file).read_bytes()
        for file, sign in SIGNS.items()
    )


def _nodes(group: Path) -> list[str]:
    """Names in the folder of a Zarr group that belong to it: its metadata, arrays and groups."""
    return [
        path.name
        for path in group.iterdir()
        if path.name != WORK and (path.name == "zarr.json" or (path / "zarr.json").exists())
    ]


def _is_other(path: Path) -> bool:
    """Say whether something in a group's folder is no array, not even a damaged one."""
    array = path.name == "zarr.json" or any((path / part).exists() for part in ("zarr.json", "c"))
    return os.path.lexists(path) and not array


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
    with _reading(str(array.store_path), array.basename):
        block = np.asarray(array[tile])
    block[inside] = values
    array[tile] = block


def open_dataset(path: str | Path) -> xr.Dataset:
    """Open the results of a sweep; values are read when they are used.

    Raises a `ValueError` if `path` is not a phasejax store, one of a newer phasejax, or has lost
    parts; a value that can't be read is an `OSError` when it is used.
    """
    if not Path(path).exists():
        raise bad("store", str(path), "the folder of a sweep; there is nothing at this path")
    try:
        with _quiet():
            how: Any = {"engine": _Engine, "consolidated": False, "chunks": None}
            dataset = xr.open_dataset(path, **how)
    except Exception as error:  # whatever a damaged file may raise
        raise bad(
            "store", str(path), f"a Zarr v3 group that phasejax wrote{_why(path, error)}"
        ) from error
    _check_whole(path, dataset)
    return _in_order(dataset)


def _why(path: str | Path, error: Exception) -> str:
    """What is wrong with a folder that can't be opened, if phasejax wrote it."""
    if not Path(path).is_dir() or not _is_ours(Path(path)):
        return ""
    if not (Path(path) / "zarr.json").exists():
        return "; it has not been laid out to its end: resume, or overwrite it"
    return f"; it is damaged ({error}): restore it from a copy, or overwrite it"


def _check_whole(path: str | Path, dataset: xr.Dataset) -> None:
    """Refuse a store of another program or of a newer version, or one that has lost parts."""
    attrs = dataset.attrs
    if "phasejax_version" not in attrs:
        raise bad("store", str(path), "a Zarr v3 group that phasejax wrote")
    found = attrs.get("format", 0)
    if isinstance(found, int) and found > FORMAT:
        newer = f"{found} is of a newer phasejax ({attrs['phasejax_version']}): upgrade phasejax"
        raise bad("store", str(path), f"of format {FORMAT} at most; {newer}")
    extent = {"time" if "time" in attrs else "steps": int | float}
    lost = [n for n, kind in (KINDS | extent).items() if not isinstance(attrs.get(n), kind)]
    axes = attrs["axes"] if "axes" not in lost else {}
    if not all(isinstance(a, dict) and {"values", "scale"} <= a.keys() for a in axes.values()):
        lost.append("axes")
    lost += [n for n in (*axes, *VARIABLES) if n not in dataset.variables]
    if lost:
        text = (
            f"a whole sweep; {', '.join(lost)} is missing or damaged: restore it from a copy, or "
        )
        raise bad("store", str(path), f"{text}overwrite it")


class _Engine(ZarrBackendEntrypoint):
    """Zarr as xarray reads it, but that a variable says where it lies when it can't be read."""

    def open_dataset(self, filename_or_obj: Any, **options: Any) -> xr.Dataset:
        """Open a group; its variables are read when they are used."""
        dataset = super().open_dataset(filename_or_obj, **options)
        lazy = {
            name: xr.Variable(
                variable.dims,
                indexing.LazilyIndexedArray(_Named(variable, filename_or_obj, str(name))),
                variable.attrs,
                variable.encoding,
            )
            for name, variable in dataset.variables.items()
            if name not in dataset.xindexes
        }
        return dataset.assign({name: lazy[name] for name in lazy})


class _Named(BackendArray):
    """A variable in a store that says which one it is when it can't be read."""

    def __init__(self, variable: xr.Variable, path: str | Path, name: str) -> None:
        self.shape, self.dtype = variable.shape, variable.dtype
        self._variable, self._path, self._name = variable, path, name

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        outer = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, outer, self._values)

    def _values(self, key: Any) -> np.ndarray:
        with _reading(self._path, self._name):
            return self._variable[key].to_numpy()


@contextlib.contextmanager
def _reading(path: str | Path | None, name: str) -> Iterator[None]:
    """Say where it is that something can't be read."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged chunk may raise
        raise StoreError(
            f"store = '{path}': {name} can't be read ({error}): restore it from a copy, or run the "
            "sweep again and overwrite it"
        ) from error


def _in_order(dataset: xr.Dataset) -> xr.Dataset:
    """What a reader looks for first comes first: the regime, its margin, the curves."""
    first = ("regime", "margin", *ENVELOPE_ATTRIBUTES, "initial_loss", STATUS)
    names = [*first, *label_attributes("time" in dataset.attrs), *map(str, dataset.data_vars)]
    return dataset[list(dict.fromkeys(name for name in names if name in dataset))]
