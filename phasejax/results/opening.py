"""Opening a store, which may be of an earlier format, damaged, or of another program."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, ZarrBackendEntrypoint
from xarray.core import indexing

from .._check import bad
from ..envelope import LOSSES
from ..regimes import LABELS, UNLABELLED
from ..regimes.codes import COMPUTED, MISSING
from .format import ENVELOPE_ATTRIBUTES, FORMAT, STATUS, STATUS_ATTRIBUTES, is_ours, quiet

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
    "block_size": int,
    "block_size_source": str,
    "failures": list,
    "created": str,
    "jax_version": str,
    "unit": str,
    "horizon": int | float,
}
"""Attributes that every store has, and their types."""
RENAMED = {"lanes": "block_size", "lanes_source": "block_size_source", "batch": "slots"}
"""Attributes of formats up to 3, and what they are called now."""
MINIMUM_OPTIONAL = 5
"""Format from which on a problem whose minimum is not known has no attribute `minimum`."""
VARIABLES = (*LOSSES, "initial_loss", "regime", "margin")
"""Variables that every store has, besides its axes."""


class StoreError(OSError):
    """A store can't be written or read. Its contents are kept, and the sweep can be resumed."""


def open_dataset(path: str | Path) -> xr.Dataset:
    """Open the results of a sweep; values are read when they are used.

    Raises a `ValueError` if `path` is not a phasejax store, is one of a newer phasejax, or has lost
    parts. A value that can't be read raises an `OSError` when it is used.
    """
    if not Path(path).exists():
        raise bad("store", str(path), "the folder of a sweep; there is nothing at this path")
    try:
        with quiet():
            how: Any = {"engine": _Engine, "consolidated": False, "chunks": None}
            dataset = xr.open_dataset(path, **how)
    except Exception as error:  # whatever a damaged file may raise
        raise bad(
            "store", str(path), f"a Zarr v3 group that phasejax wrote{_why(path, error)}"
        ) from error
    dataset = _updated(dataset)
    _check_whole(path, dataset)
    return regime_first(dataset)


def _updated(dataset: xr.Dataset) -> xr.Dataset:
    """Convert the results of an earlier format to this one, as far as reading needs it."""
    attrs = dict(dataset.attrs)
    for old, new in RENAMED.items():
        if old in attrs:
            attrs.setdefault(new, attrs.pop(old))
    if "horizon" not in attrs and attrs.get("format", 0) in range(FORMAT):
        attrs["unit"] = "time" if "time" in attrs else "step"
        attrs["horizon"] = attrs.get("time", attrs.get("steps"))
    if attrs.get("format", 0) in range(MINIMUM_OPTIONAL):
        attrs.setdefault("minimum", 0.0)
    dataset = dataset.drop_attrs(deep=False).assign_attrs(attrs)
    if STATUS not in dataset and "regime" in dataset:
        status = xr.where(dataset["regime"] == UNLABELLED, MISSING, COMPUTED).astype(np.int8)
        dataset = dataset.assign({STATUS: status.assign_attrs(STATUS_ATTRIBUTES)})
    return dataset


def _why(path: str | Path, error: Exception) -> str:
    """Explain why a store can't be opened; "" if phasejax did not write it."""
    if not Path(path).is_dir() or not is_ours(Path(path)):
        return ""
    if not (Path(path) / "zarr.json").exists():
        return "; its layout is not complete: resume, or overwrite it"
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
    horizon = {"time" if "time" in attrs else "steps": int | float}
    lost = [n for n, kind in (KINDS | horizon).items() if not isinstance(attrs.get(n), kind)]
    lost += [n for n in ("block_size", "windows") if n not in lost and attrs[n] < 1]
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
    """xarray's Zarr engine, with reading errors that name the store and the variable."""

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
    """A variable in a store; an error when it is read names the store and the variable."""

    def __init__(self, variable: xr.Variable, path: str | Path, name: str) -> None:
        self.shape, self.dtype = variable.shape, variable.dtype
        self._variable, self._path, self._name = variable, path, name

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        outer = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, outer, self._values)

    def _values(self, key: Any) -> np.ndarray:
        with reading(self._path, self._name):
            return self._variable[key].to_numpy()


@contextlib.contextmanager
def reading(path: str | Path | None, name: str) -> Iterator[None]:
    """Turn any error into a `StoreError` that names the store and the variable."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged chunk may raise
        raise StoreError(
            f"store = '{path}': {name} can't be read ({error}): restore it from a copy, or run the "
            "sweep again and overwrite it"
        ) from error


def regime_first(dataset: xr.Dataset) -> xr.Dataset:
    """Order the variables as readers need them: regime, margin, curves, then the others."""
    first = ("regime", "margin", *ENVELOPE_ATTRIBUTES, "initial_loss", STATUS)
    names = [*first, *LABELS, *map(str, dataset.data_vars)]
    return dataset[list(dict.fromkeys(name for name in names if name in dataset))]
