"""Stores that commands read, and files that they write next to them."""

from pathlib import Path
from typing import TYPE_CHECKING

import phasejax as pj

from .._check import bad
from . import values
from .parser import renamed

if TYPE_CHECKING:
    import xarray as xr

MADE_BY = "phasejax"
"""Stands in every picture and page that phasejax writes."""


def is_store(path: Path) -> bool:
    """Whether a path is a Zarr group or array, as the folder of a sweep is."""
    return (path / "zarr.json").exists()


def opened(store: Path) -> "xr.Dataset":
    """Open the sweep that a command has as its positional argument."""
    with renamed({"store": "dataset"}):
        return pj.open_dataset(store)


def selected(store: Path, at: str | None) -> "xr.Dataset":
    """Open a sweep, and select the values that `--at` gives of some axes."""
    from ..results.summary import choose

    return choose(opened(store), values.point(at) if at is not None else {})


def default_output(store: Path, name: str) -> Path:
    """Return where a picture goes by default: next to the store.

    A file there that phasejax did not make is not replaced.
    """
    path = store.parent / name
    if path.exists() and not (path.is_file() and MADE_BY.encode() in path.read_bytes()):
        raise bad("output", None, f"given: there is {path}, which phasejax did not make")
    return path
