"""The precision that a sweep traces and runs in, whatever the process has asked of JAX."""

import contextlib
import functools
import weakref
from collections.abc import Iterator

import jax
import numpy as np


@contextlib.contextmanager
def precision(dtype: str = "float64") -> Iterator[None]:
    """Trace and run what is inside in `dtype`, "float64" or "float32".

    Types are promoted as NumPy does, also where the process has asked for strict promotion.
    """
    _conversions().clear()  # an array may have other numbers in it than it had
    with jax.enable_x64(dtype == "float64"), jax.numpy_dtype_promotion("standard"):
        yield


@functools.cache
def _conversions() -> dict[tuple[int, np.dtype], tuple[weakref.ref, weakref.ref]]:
    """Let JAX convert a NumPy array again where the precision has changed; returns what is kept.

    JAX 0.10 keeps what it made of a NumPy array as long as a compiled function uses it, and finds
    it by the array alone. So if a loss has been compiled in float32, as by `jax.jit(loss)(params)`,
    the data that it captures stay float32, and its indices int32, inside `jax.enable_x64`: the
    trace fails, or the data are rounded without a word. JAX has no public way to change that;
    where a later version has other internals, its own conversion stays (a test would show it).
    """
    try:
        from jax._src import dtypes, literals

        register = dtypes.register_canonicalize_value_handler
        make, canonical = literals.TypedNdArray, dtypes.canonicalize_dtype
    except (ImportError, AttributeError):
        return {}
    kept: dict[tuple[int, np.dtype], tuple[weakref.ref, weakref.ref]] = {}

    def convert(array: np.ndarray) -> np.ndarray:
        dtype = canonical(array.dtype)
        key = id(array), dtype
        source, converted = kept.get(key, (None, None))
        if source and converted and source() is array and (known := converted()) is not None:
            return known
        made = make(np.asarray(array, dtype))
        forget = functools.partial(_forget, kept, key)
        kept[key] = weakref.ref(array, forget), weakref.ref(made, forget)
        return made

    register(np.ndarray, convert)
    return kept


def _forget(kept: dict, key: tuple[int, np.dtype], gone: weakref.ref) -> None:
    if gone in kept.get(key, ()):
        del kept[key]
