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
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

DIGITS = 16
"""Hexadecimal digits of a digest that results show."""


def identify(value: Any) -> Any:
    """Describe a setting by what `json` can write.

    Numbers, bools, strings and `None` stand for themselves, arrays for their content, functions of
    a module for their qualified names; other functions (lambdas, closures such as a schedule of
    optax) for their names and a digest of their code and of what they enclose.
    """
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): identify(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [identify(item) for item in value]
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return f"{array.dtype}{list(array.shape)} {_digest(array.tobytes())}"
    if isinstance(value, functools.partial):
        given = [*value.args, *(f"{k}={identify(v)}" for k, v in sorted(value.keywords.items()))]
        return f"{identify(value.func)}({', '.join(map(str, map(identify, given)))})"
    if isinstance(value, FunctionType):
        return _qualified(value) + ("" if _importable(value) else f" {_digest(*_content(value))}")
    if callable(value) and hasattr(value, "__qualname__"):
        return _qualified(value)
    return f"{_qualified(type(value))} {_digest(cloudpickle.dumps(value))}"


def label(value: Any) -> bool | int | float | str:
    """Name a value of an axis, as a reader would: a function by its name."""
    if isinstance(value, bool | int | float | str):
        return value
    return getattr(value, "__name__", None) or str(identify(value))


def trace_digest(trace: ClosedJaxpr) -> str:
    """Digest what a traced program computes: its operations and the arrays that it encloses."""
    text = re.sub(r"0x[0-9a-f]+", "", str(trace))  # addresses of functions
    arrays = [np.asarray(x).tobytes() for x in _enclosed(trace) if np.ndim(x)]
    return _digest(text.encode(), *arrays)


def arrays_digest(*arrays: np.ndarray) -> str:
    """Digest arrays by dtype, shape and content."""
    return _digest(*(part for x in map(np.asarray, arrays) for part in _described(x)))


def _described(array: np.ndarray) -> tuple[bytes, bytes]:
    return f"{array.dtype}{array.shape}".encode(), np.ascontiguousarray(array).tobytes()


def _enclosed(trace: Any) -> Iterator[Any]:
    """Constants of a program, those of its inner programs included, in order."""
    if isinstance(trace, ClosedJaxpr):
        yield from trace.consts
        yield from _enclosed(trace.jaxpr)
    elif isinstance(trace, Jaxpr):
        for equation in trace.eqns:
            yield from (v.val for v in equation.invars if isinstance(v, Literal))
            yield from _enclosed(tuple(equation.params.values()))
    elif isinstance(trace, tuple | list):
        for part in trace:
            yield from _enclosed(part)
    elif isinstance(trace, np.ndarray):
        yield trace


def _importable(function: FunctionType) -> bool:
    return function.__module__ != "__main__" and "<" not in function.__qualname__


def _qualified(named: Any) -> str:
    return f"{getattr(named, '__module__', '')}.{named.__qualname__}"


def _content(function: FunctionType) -> Iterator[bytes]:
    """Code of a function, its defaults, and what it encloses."""
    yield from _code(function.__code__)
    enclosed = []
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        enclosed.append("itself" if content is function else identify(content))
    yield repr([function.__defaults__ and identify(function.__defaults__), enclosed]).encode()


def _code(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:
            yield repr(constant).encode()


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:DIGITS]
