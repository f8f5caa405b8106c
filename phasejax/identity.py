"""Identities of the settings of an optimizer, and of what a program computes.

Equal content has the same identity in every process, and different content another one.
Results store identities, and a sweep is resumed only if they are equal.
"""

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

DIGITS = 16
"""Hexadecimal digits of a digest."""


def identify(value: Any) -> Any:
    """Return an identity of a setting that `json` can encode.

    - Numbers, bools, strings and `None`: the value itself.
    - Arrays: dtype, shape and a digest of the content.
    - Functions of a module: the qualified name.
    - Other functions (lambdas, closures such as a schedule of optax): the name, and a digest of
      the code and the enclosed values.
    - Objects: the class, and a digest of the attributes.
    """
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): identify(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [identify(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, map(identify, value)))
    if hasattr(value, "__array__"):
        array = as_numpy(value)
        return f"{array.dtype}{list(array.shape)} {_digest(array.tobytes())}"
    if isinstance(value, functools.partial):
        given = [*value.args, *(f"{k}={identify(v)}" for k, v in sorted(value.keywords.items()))]
        return f"{identify(value.func)}({', '.join(map(str, map(identify, given)))})"
    if isinstance(value, FunctionType):
        return _qualified(value) + ("" if _importable(value) else f" {_digest(*_content(value))}")
    if callable(value) and hasattr(value, "__qualname__"):
        return _qualified(value)
    return _identify_object(value)


def _identify_object(value: Any) -> str:
    """Identity of an object: class, code of methods that no module defines, attributes."""
    kind, state = type(value), getattr(value, "__dict__", None)
    methods = [f for f in vars(kind).values() if isinstance(f, FunctionType)]
    code = b"".join(part for f in methods if not _importable(f) for part in _code(f.__code__))
    content = repr(identify(state)).encode() if state is not None else cloudpickle.dumps(value)
    return f"{_qualified(kind)} {_digest(code, content)}"


def label(value: Any) -> bool | int | float | str:
    """Return a value of an axis as results store it: a function by name, a number unchanged."""
    if isinstance(value, bool | int | float | str):
        return value
    return getattr(value, "__name__", None) or str(identify(value))


def trace_digest(trace: ClosedJaxpr) -> str:
    """Return a digest of a traced program: of its operations and the constants that it encloses."""
    text = re.sub(r"0x[0-9a-f]+", "", str(trace))  # addresses of functions
    return _digest(text.encode(), *(part for x in _enclosed(trace) for part in _described(x)))


def arrays_digest(*arrays: Any) -> str:
    """Return a digest of arrays, by dtype, shape and content."""
    return _digest(*(part for x in arrays for part in _described(x)))


def _described(value: Any) -> Iterator[bytes]:
    """Bytes of an array (dtype, shape, content), or of a callback function (code, values)."""
    if isinstance(value, FunctionType):
        yield from _content(value)
        return
    array = as_numpy(value)
    yield f"{array.dtype}{array.shape}".encode()
    yield np.ascontiguousarray(array).tobytes()


def as_numpy(array: Any) -> np.ndarray:
    """Return an array in NumPy; for a key of `jax.random`, its data."""
    key = isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(array) if key else array)


def _enclosed(trace: Any) -> Iterator[Any]:
    """Constants and callback functions of a program and of its inner programs, in order."""
    if isinstance(trace, ClosedJaxpr | Jaxpr):  # one class since JAX 0.11
        yield from getattr(trace, "consts", ())
        for equation in trace.eqns:
            yield from (v.val for v in equation.invars if isinstance(v, Literal))
            yield from _enclosed(tuple(equation.params.values()))
    elif isinstance(trace, Mapping):
        yield from _enclosed(tuple(trace.values()))
    elif isinstance(trace, tuple | list):
        for part in trace:
            yield from _enclosed(part)
    elif isinstance(trace, np.ndarray | jax.Array):
        yield trace
    elif isinstance(function := getattr(trace, "callback_func", None), FunctionType):
        yield function  # of pure_callback and similar primitives


def _importable(function: FunctionType) -> bool:
    """Say whether a module defines a function; not so for scripts, lambdas and closures."""
    return function.__module__ != "__main__" and "<" not in function.__qualname__


def _qualified(named: Any) -> str:
    return f"{getattr(named, '__module__', '')}.{named.__qualname__}"


def _content(function: FunctionType) -> Iterator[bytes]:
    """Code of a function, its defaults, its enclosed values, and the plain globals that it uses."""
    yield from _code(function.__code__)
    enclosed = []
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        enclosed.append("itself" if content is function else identify(content))
    found = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    plain = {name: identify(value) for name, value in found.items() if _is_plain(value)}
    yield repr([identify(function.__defaults__ or ()), enclosed, plain]).encode()


def _is_plain(value: Any) -> bool:
    """Say whether a value is a number, a string, an array or a container."""
    plain = bool | int | float | str | tuple | list | dict | set | frozenset | np.ndarray
    return isinstance(value, plain | np.generic | jax.Array)


def _code(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:  # the order of a frozenset differs between processes
            ordered = sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
            yield repr(ordered).encode()


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:DIGITS]
