"""Results on disk: a Zarr v3 group that xarray opens, written tile by tile.

A tile is one chunk of every variable. Zarr writes a chunk at one stroke. Those of a tile are on the
disk before its chunk of `status` says which of its cells are there: whatever comes between, a cell
is there with all its variables, or not at all.
"""

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.storage
from jaxtyping import Float, Int

from ._check import bad
from .envelope import LOSSES, Envelope
from .grid import Cells, Tile, by_tile
from .refine import COMPUTED, INFERRED, MISSING, Labels
from .regimes import UNLABELLED, label_attributes

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


class StoreError(OSError):
    """The store can't be written. What is in it stays, and the sweep can be resumed."""


class Store:
    """One sweep's results. `path=None` keeps them in memory.

    **Arguments:**

    - `path`: a folder; its parents are made as needed.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path).absolute()
        self._storage: Any = zarr.storage.MemoryStore() if path is None else str(self.path)

    @property
    def checkpoints(self) -> Path | None:
        """The folder beside the store, in which batches that take long keep where they are."""
        return None if self.path is None else self.path.with_name(self.path.name + ".checkpoints")

    def exists(self) -> bool:
        """Say whether something is already there."""
        return self.path is not None and self.path.exists()

    def create(
        self,
        coords: xr.Dataset,
        axes: tuple[str, ...],
        tile_shape: tuple[int, ...],
        dtype: str,
        labels: Mapping[str, dict],
    ) -> None:
        """Write coordinates, attributes and empty variables; replaces a store that is there.

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
        if self.path.exists() and not (self.path / "zarr.json").exists():
            raise bad("store", str(self.path), "a Zarr v3 group, to be overwritten")
        new = self.path.with_name(self.path.name + ".new")
        try:
            for old in (new, self.path, self.checkpoints):
                if old is not None and old.exists():
                    shutil.rmtree(old)
            _lay_out(str(new), coords, axes, tile_shape, dtype, labels)
            new.rename(self.path)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise bad("store", str(self.path), f"a folder that can be written: {error}") from error

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

    def resume(self) -> None:
        """Get ready to go on where a process was killed."""
        self._tidy(finished=False)

    def close(self, failures: list[str]) -> None:
        """Note which cells failed, and gather all metadata, as xarray likes it."""
        with self._writing() as group:
            group.attrs["failures"] = failures
            _consolidate(self._storage)
        self._tidy(finished=True)

    def open(self) -> xr.Dataset:
        """Open the results; from disk, values are read when they are used."""
        dataset = _in_order(xr.open_zarr(self._storage, consolidated=False, chunks=None))
        return dataset.load() if self.path is None else dataset

    def _read(self, name: str) -> np.ndarray:
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
                opened = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(opened)
                finally:
                    os.close(opened)

    def _tidy(self, finished: bool) -> None:
        """Take away what a killed process left half-written, and checkpoints of no further use."""
        if self.path is None or self.checkpoints is None:
            return
        for folder in (self.path, self.checkpoints):
            for path in folder.rglob("*.partial"):
                path.unlink(missing_ok=True)
        if finished:
            shutil.rmtree(self.checkpoints, ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[zarr.Group]:
        """Open the group for writing; what the operating system refuses is a `StoreError`."""
        try:
            yield zarr.open_group(self._storage, mode="r+")
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
    with warnings.catch_warnings():  # Zarr's remark that not all its languages know this
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(storage)


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
    block = np.asarray(array[tile])
    block[inside] = values
    array[tile] = block


def open_dataset(path: str | Path) -> xr.Dataset:
    """Open the results of a sweep; values are read when they are used.

    Raises a `ValueError` if `path` is not a phasejax store.
    """
    if not Path(path).exists():
        raise bad("store", str(path), "the folder of a sweep; there is nothing at this path")
    try:
        dataset = xr.open_zarr(path, consolidated=False, chunks=None)
    except (OSError, ValueError, KeyError) as error:
        raise bad("store", str(path), "a Zarr v3 group that phasejax wrote") from error
    if "phasejax_version" not in dataset.attrs:
        raise bad("store", str(path), "a Zarr v3 group that phasejax wrote")
    return _in_order(dataset)


def _in_order(dataset: xr.Dataset) -> xr.Dataset:
    """What a reader looks for first comes first: the regime, its margin, the curves."""
    first = ("regime", "margin", *ENVELOPE_ATTRIBUTES, "initial_loss", STATUS)
    names = [*first, *label_attributes("time" in dataset.attrs), *map(str, dataset.data_vars)]
    return dataset[list(dict.fromkeys(name for name in names if name in dataset))]
