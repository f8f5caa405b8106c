"""What a store looks like: a Zarr v3 group with a chunk of every variable for each tile."""

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from .envelope import LOSSES
from .refine import COMPUTED, INFERRED, MISSING
from .regimes import NAMES, UNLABELLED

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


def lay_out(
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
    consolidate(storage)


def consolidate(storage: Any) -> None:
    """Gather all metadata in one file, as xarray likes it."""
    with quiet():
        zarr.consolidate_metadata(storage)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep two of Zarr's remarks to ourselves.

    That not all its languages know consolidated metadata, and that there are other files in a
    group's folder.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        warnings.filterwarnings("ignore", message="Object at .* is not recognized")
        yield


def is_ours(folder: Path) -> bool:
    """Say whether phasejax wrote what is in a folder, even if it is damaged; or nothing is."""
    if all(path.name == WORK for path in folder.iterdir()):
        return True
    return any(
        (folder / file).is_file() and sign in (folder / file).read_bytes()
        for file, sign in SIGNS.items()
    )


def nodes(group: Path) -> list[str]:
    """Names in the folder of a Zarr group that belong to it: its metadata, arrays and groups."""
    return [
        path.name
        for path in group.iterdir()
        if path.name != WORK and (path.name == "zarr.json" or (path / "zarr.json").exists())
    ]


def is_other(path: Path) -> bool:
    """Say whether something in a group's folder is no array, not even a damaged one."""
    array = path.name == "zarr.json" or any((path / part).exists() for part in ("zarr.json", "c"))
    return os.path.lexists(path) and not array
