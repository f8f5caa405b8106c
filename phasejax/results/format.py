"""What a store looks like: a Zarr v3 group with a chunk of every variable for each tile."""

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec

from ..envelope import LOSSES
from ..regimes import LABELS, UNLABELLED
from ..regimes.codes import COMPUTED, INFERRED, MISSING

FORMAT = 5
"""Version of the layout of a store."""
STATUS = "status"
"""Variable that says of each cell whether it is missing, computed or inferred."""
STATUS_ATTRIBUTES = {
    "long_name": "where the cell's regime is from",
    "flag_values": [MISSING, COMPUTED, INFERRED],
    "flag_meanings": "missing computed inferred",
}
"""Attributes of `STATUS`."""
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
"""Attributes of the statistics per window, by the fields of `Envelope`."""
OWN_NAMES = {
    *("status", "initial_loss", "initial_gradient_norm", "window", "step", "time"),
    *ENVELOPE_ATTRIBUTES,
    *LABELS,
}
"""Variables and coordinates of a store, except its axes."""
WORK = ".phasejax"
"""Folder in a store for files of the process that writes to it, which removes it at its end."""
WORK_NAMES = {"lock", "holder", "checkpoints", "new", "ready", "cleared", "old"}
"""Names that this folder may contain."""


CODECS = BloscCodec(cname="lz4", clevel=1, shuffle=BloscShuffle.shuffle), Crc32cCodec()
"""Bytes of one significance together, by which floats shrink by a sixth to a third, at 2 GB/s; and
a checksum, by which a damaged chunk is noticed."""


def lay_out(
    storage: Any, coords: xr.Dataset, curves: Mapping[str, dict], labels: Mapping[str, dict]
) -> None:
    """Write coordinates, attributes and empty variables.

    **Arguments:**

    - `coords`: coordinates and what is known before the run; its attributes are the configuration.
    - `curves`: names and attributes of the variables per window.
    - `labels`: names and attributes of the labels and features, one value per cell.
    """
    coords.to_zarr(storage, zarr_format=3, consolidated=False, mode="w")
    group = zarr.open_group(storage, mode="r+")
    axes, tile = tuple(coords.attrs["axes"]), tuple(coords.attrs["tile_shape"])
    shape, windows = tuple(coords.sizes[axis] for axis in axes), coords.sizes["window"]
    cells = {"shape": shape, "chunks": tile, "dimension_names": axes}
    over_windows = {
        "shape": (*shape, windows),
        "chunks": (*tile, windows),
        "dimension_names": (*axes, "window"),
    }
    features = {name: attributes for name, attributes in labels.items() if name != "regime"}
    _create(group, curves, dtype=coords.attrs["dtype"], fill_value=np.nan, **over_windows)
    _create(group, features, dtype="float64", fill_value=np.nan, **cells)
    _create(group, {"regime": labels["regime"]}, dtype="int8", fill_value=UNLABELLED, **cells)
    _create(group, {STATUS: STATUS_ATTRIBUTES}, dtype="int8", fill_value=MISSING, **cells)


def _create(group: zarr.Group, variables: Mapping[str, dict], **kind: Any) -> None:
    """Create empty arrays of one kind, by name and with attributes, at once."""
    (first, attributes), *others = variables.items()
    array = group.create_array(first, attributes=attributes, compressors=CODECS, **kind)
    alike: Any = {name: array.metadata.update_attributes(said) for name, said in others}
    for _ in zarr.create_hierarchy(store=group.store, nodes=alike):
        pass


def consolidate(storage: Any) -> None:
    """Gather all metadata in one file, which xarray looks for first."""
    with quiet():
        zarr.consolidate_metadata(storage)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress two warnings of Zarr.

    They say that consolidated metadata are not in its specification, and that a group's folder
    contains other files.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        warnings.filterwarnings("ignore", message="Object at .* is not recognized")
        yield


def is_ours(folder: Path) -> bool:
    """Say whether a folder is empty, or a store that phasejax wrote, even a damaged one."""
    work = folder / WORK
    if work.is_symlink() or (work.exists() and not {p.name for p in work.iterdir()} <= WORK_NAMES):
        return False
    if all(path.name == WORK for path in folder.iterdir()):
        return True
    if any(_is_group_of_ours(where) for where in (folder, work / "ready", work / "cleared")):
        return True
    complete = all((folder / name / "zarr.json").is_file() for name in (STATUS, *LOSSES))
    return complete and not _attributes(folder)  # the metadata of the group are damaged


def _is_group_of_ours(group: Path) -> bool:
    """Say whether a group has what `lay_out` writes first: attributes, and the curves."""
    curves = all((group / name).is_dir() for name in LOSSES) or group.name == "cleared"
    return "phasejax_version" in _attributes(group) and (curves or group.parent.name == WORK)


def _metadata(node: Path) -> dict[str, Any]:
    """Metadata of a group or an array; empty if they can't be read."""
    try:
        metadata = json.loads((node / "zarr.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _attributes(group: Path) -> dict[str, Any]:
    attributes = _metadata(group).get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def foreign_nodes(group: Path) -> list[str]:
    """Arrays and groups in a store that no version of phasejax writes.

    Empty if the names of the axes can't be read.
    """
    axes = _metadata(group / STATUS).get("dimension_names") or _attributes(group).get("axes")
    if not isinstance(axes, list | dict):
        return []
    measured = _attributes(group).get("measured", [])
    known = {"zarr.json", *OWN_NAMES, *map(str, [*axes, *measured])}
    return [name for name in nodes(group) if name not in known]


def nodes(group: Path) -> list[str]:
    """Names in the folder of a Zarr group that belong to it: its metadata, arrays and groups."""
    return [
        path.name
        for path in group.iterdir()
        if path.name != WORK and (path.name == "zarr.json" or (path / "zarr.json").exists())
    ]


def is_not_array(path: Path) -> bool:
    """Say whether a path in a group exists and is not an array, not even a damaged one."""
    array = path.name == "zarr.json" or any((path / part).exists() for part in ("zarr.json", "c"))
    return os.path.lexists(path) and not array
