"""What things are, in words that last: settings of an optimizer, and what a program computes.

An identity is the same in every process for the same thing, and another one where its content
differs. Results carry identities, and a sweep is resumed only if they agree.
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
"""Hexadecimal digits of a digest that results show."""


def identify(value: Any) -> Any:
    """Describe a setting by what `json` can write.

    Numbers, bools, strings and `None` stand for themselves, arrays for their content, functions of
    a module for their qualified names; other functions (lambdas, closures such as a schedule of
    optax) for their names and a digest of their code and of what they enclose; objects for their
    class and their attributes.
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
        array = _as_numpy(value)
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
    """Describe an object by its class, the code of its methods if it is a user's, and its state."""
    kind, state = type(value), getattr(value, "__dict__", None)
    methods = [f for f in vars(kind).values() if isinstance(f, FunctionType)]
    code = b"".join(part for f in methods if not _importable(f) for part in _code(f.__code__))
    content = repr(identify(state)).encode() if state is not None else cloudpickle.dumps(value)
    return f"{_qualified(kind)} {_digest(code, content)}"


def label(value: Any) -> bool | int | float | str:
    """Name a value of an axis, as a reader would: a function by its name."""
    if isinstance(value, bool | int | float | str):
        return value
    return getattr(value, "__name__", None) or str(identify(value))


def trace_digest(trace: ClosedJaxpr) -> str:
    """Digest what a traced program computes: its operations and the numbers that it encloses."""
    text = re.sub(r"0x[0-9a-f]+", "", str(trace))  # addresses of functions
    return _digest(text.encode(), *(part for x in _enclosed(trace) for part in _described(x)))


def arrays_digest(*arrays: Any) -> str:
    """Digest arrays by dtype, shape and content."""
    return _digest(*(part for x in arrays for part in _described(x)))


def _described(value: Any) -> Iterator[bytes]:
    """Dtype, shape and content of an array; the code of a function that Python is called for."""
    if isinstance(value, FunctionType):
        yield from _content(value)
        return
    array = _as_numpy(value)
    yield f"{array.dtype}{array.shape}".encode()
    yield np.ascontiguousarray(array).tobytes()


def _as_numpy(array: Any) -> np.ndarray:
    """An array of numbers; of a key of `jax.random` its numbers."""
    key = isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(array) if key else array)


def _enclosed(trace: Any) -> Iterator[Any]:
    """Constants of a program and functions it calls, those of inner programs included, in order."""
    if isinstance(trace, ClosedJaxpr):
        yield from trace.consts
        yield from _enclosed(trace.jaxpr)
    elif isinstance(trace, Jaxpr):
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
        yield function  # of pure_callback and its like


def _importable(function: FunctionType) -> bool:
    return function.__module__ != "__main__" and "<" not in function.__qualname__


def _qualified(named: Any) -> str:
    return f"{getattr(named, '__module__', '')}.{named.__qualname__}"


def _content(function: FunctionType) -> Iterator[bytes]:
    """Code of a function, its defaults, what it encloses, and the plain globals that it names."""
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
    """Say whether a value is a number, an array or a container, and no function or module."""
    plain = bool | int | float | str | tuple | list | dict | set | frozenset | np.ndarray
    return isinstance(value, plain | np.generic | jax.Array)


def _code(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:  # a frozenset has no order of its own
            ordered = sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
            yield repr(ordered).encode()


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:DIGITS]
