"""The precision in which a sweep traces and runs, independent of JAX's configuration."""

import contextlib
import functools
import weakref
from collections.abc import Iterator

import jax
import numpy as np


@contextlib.contextmanager
def precision(dtype: str = "float64") -> Iterator[None]:
    """Trace and run the body of the `with` in `dtype`, "float64" or "float32".

    Types are promoted as in NumPy, even if the process has set strict promotion.
    """
    _conversions().clear()  # the content of an array may have changed since it was converted
    with jax.enable_x64(dtype == "float64"), jax.numpy_dtype_promotion("standard"):
        yield


@functools.cache
def _conversions() -> dict[tuple[int, np.dtype], tuple[weakref.ref, weakref.ref]]:
    """Make JAX convert a NumPy array again if the precision has changed; returns the cache.

    JAX 0.10 caches the conversion of a NumPy array as long as a compiled function uses it, with the
    array alone as the key. If a loss was compiled in float32 before, as by `jax.jit(loss)(params)`,
    the data that it captures therefore stay float32, and indices int32, inside `jax.enable_x64`:
    the trace fails, or the data are silently rounded. JAX has no public way to change this. The
    function replaces JAX's conversion by one whose key includes the dtype. If a later version has
    other internals, JAX's own conversion is kept; a test detects this.
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


def _forget(kept: dict, key: tuple[int, np.dtype], dead: weakref.ref) -> None:
    """Remove an entry of the cache whose array no longer exists."""
    if dead in kept.get(key, ()):
        del kept[key]
