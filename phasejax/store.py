"""Results on disk: a Zarr v3 group that xarray opens, written tile by tile.

A tile is one chunk of every variable. `loss_max` is written last and is all nan until then, so a
tile is either there with all its variables or not there; a sweep that was cut off goes on from
that.
"""

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.storage

from ._check import bad
from .envelope import Envelope
from .grid import Tile
from .regimes import UNLABELLED, label_attributes

DONE = "loss_max"
ENVELOPE_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "loss_min": {"long_name": "minimum of the loss in the window"},
    "loss_max": {"long_name": "maximum of the loss in the window"},
    "loss_mean": {"long_name": "mean of the loss in the window"},
    "log10_loss_mean": {"long_name": "mean of log10 of the loss in the window", "units": "decades"},
}


class Store:
    """One sweep's results. `path=None` keeps them in memory.

    **Arguments:**

    - `path`: a folder; its parents are made as needed.
    - `coords`: coordinates and scalars known before the run, as an `xarray.Dataset` whose `sizes`
        include the grid's axes and `window`, and whose attributes are the configuration.
    - `axes`: names of the grid's axes, in order.
    - `tile_shape`: cells of a tile along each axis.
    - `dtype`: of the losses.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self._storage: Any = zarr.storage.MemoryStore() if path is None else str(path)

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

        `labels` are the names and attributes of the labels and features, one value a cell.
        """
        try:
            if self.path is not None and self.path.exists():
                if not (self.path / "zarr.json").exists():
                    raise bad("store", str(self.path), "a Zarr v3 group, to be overwritten")
                shutil.rmtree(self.path)
            coords.to_zarr(self._storage, zarr_format=3, consolidated=False, mode="w")
            group = zarr.open_group(self._storage, mode="r+")
        except OSError as error:
            raise bad("store", str(self.path), f"a folder that can be written: {error}") from error
        shape = tuple(coords.sizes[axis] for axis in axes)
        windows = coords.sizes["window"]
        for name, attributes in ENVELOPE_ATTRIBUTES.items():
            group.create_array(
                name,
                shape=(*shape, windows),
                chunks=(*tile_shape, windows),
                dtype=dtype,
                fill_value=np.nan,
                dimension_names=(*axes, "window"),
                attributes=attributes,
            )
        for name, attributes in labels.items():
            group.create_array(
                name,
                shape=shape,
                chunks=tile_shape,
                dtype="int8" if name == "regime" else "float64",
                fill_value=UNLABELLED if name == "regime" else np.nan,
                dimension_names=axes,
                attributes=attributes,
            )
        self._consolidate()

    def write(self, tile: Tile, envelope: Envelope, labels: Mapping[str, np.ndarray]) -> None:
        """Write one finished tile: arrays of the tile's shape, `loss_max` last of all."""
        group = zarr.open_group(self._storage, mode="r+")
        for name, values in labels.items():
            _array(group, name)[tile] = values
        fields = envelope._asdict()
        for name in (*(fields.keys() - {DONE}), DONE):
            _array(group, name)[(*tile, slice(None))] = fields[name]

    def finished(self, tile: Tile) -> bool:
        """Say whether a tile is there; one of unresolved cells alone is as if it were not."""
        group = zarr.open_group(self._storage, mode="r")
        return not np.isnan(np.asarray(_array(group, DONE)[(*tile, slice(None))])).all()

    def relabel(self, dataset: xr.Dataset) -> None:
        """Replace the labels of every cell by those of `dataset`."""
        group = zarr.open_group(self._storage, mode="r+")
        for name in label_attributes("time" in dataset.attrs):
            _array(group, name)[:] = dataset[name].values

    def close(self, failures: list[str]) -> None:
        """Note which tiles failed, and gather all metadata, as xarray likes it."""
        zarr.open_group(self._storage, mode="r+").attrs["failures"] = failures
        self._consolidate()

    def _consolidate(self) -> None:
        with warnings.catch_warnings():  # Zarr's remark that not all its languages know this
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(self._storage)

    def open(self) -> xr.Dataset:
        """Open the results; from disk, values are read when they are used."""
        dataset = xr.open_zarr(self._storage, consolidated=False, chunks=None)
        return dataset.load() if self.path is None else dataset


def _array(group: zarr.Group, name: str) -> zarr.Array:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


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
    return dataset
