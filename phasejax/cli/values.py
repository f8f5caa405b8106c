"""Values that are written on a command line: numbers, ranges, lists, NAME=VALUE."""

import ast
from collections.abc import Callable, Iterable
from typing import Any

import phasejax as pj

from .._check import ArgumentError, bad

HYPER_PARAMETERS = {
    "a": "LOW:HIGH:COUNT (log-spaced; LOW:HIGH:COUNT:linear), or V1,V2,... or one fixed value",
    "b": "As --a.",
    "delta": "As --a: 1 - β₁ of adam_decays.",
    "gamma": "As --a: 1 - β₂ of adam_decays.",
    "learning_rate": "As --a; 0.001 by default with phasejax's adam and rmsprop.",
    "eps": "As --a; added outside the square root.",
    "eps_root": "As --a; added inside the square root.",
    "seed": "Seed of the starting point: 0 by default, or 0,1,2",
}
"""Hyper-parameters that have a flag of their own, and its help. Each is a number."""

RANGE = (
    "LOW:HIGH:COUNT with numbers LOW < HIGH and COUNT at least 2, "
    "optionally followed by :log or :linear"
)


def hyper_parameters(given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Read the values of each hyper-parameter; a name given twice is an error."""
    return {name: hyper_parameter(name, text) for name, text in once(given).items()}


def hyper_parameter(name: str, text: str) -> Any:
    """Read LOW:HIGH:COUNT[:log|linear] (an `Axis`), V1,V2,... (a list) or one value.

    Values are numbers. A hyper-parameter without a flag of its own may also have booleans or
    names, but a list holds only one kind of them.
    """
    if ":" in text:
        return _range(name, text)
    values = literal(text)
    if isinstance(values, str) and "," in text:
        values = tuple(literal(part.strip()) for part in text.split(","))
    listed = values if isinstance(values, tuple) else (values,)
    kinds = {_kind(value) for value in listed}
    if name in HYPER_PARAMETERS and kinds != {"number"}:
        raise bad(name, text, "a number, V1,V2,... or LOW:HIGH:COUNT")
    if isinstance(values, tuple) and (len(kinds) != 1 or "" in kinds):
        raise bad(name, text, "numbers, or True and False, or names: V1,V2,... or LOW:HIGH:COUNT")
    return list(listed) if isinstance(values, tuple) else values


def _kind(value: Any) -> str:
    """Return "number", "boolean" or "name"; "" for a value that no axis can have."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "name" if isinstance(value, str) and value else ""


def _range(name: str, text: str) -> "pj.Axis":
    """Read LOW:HIGH:COUNT[:log|linear]."""
    parts = text.split(":")
    scale = parts.pop() if len(parts) == 4 else "log"
    make = {"log": pj.log_axis, "linear": pj.linear_axis}.get(scale)
    if make is None or len(parts) != 3:
        raise bad(name, text, RANGE)
    try:
        low, high, count = float(parts[0]), float(parts[1]), int(parts[2])
        return make(low, high, count)
    except ArgumentError as error:
        raise bad(name, text, f"{RANGE} ({error})") from error
    except ValueError as error:  # its text is Python's
        raise bad(name, text, RANGE) from error


def literal(text: str) -> Any:
    """Read a Python literal, also `true` and `false`; any other text stays a string."""
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def pair(flag: str, text: str) -> tuple[str, str]:
    """Read NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise bad(flag, text, "NAME=VALUE")
    return name, value


def once(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Collect values by name; a name given twice is an error."""
    values: dict[str, str] = {}
    for name, value in given:
        if name in values:
            raise bad(name, value, f"given once; it is {values[name]!r} already")
        values[name] = value
    return values


def point(text: str, flag: str = "at") -> dict[str, bool | int | float | str]:
    """Read NAME=VALUE,... where a value is a number, True, False or a name."""

    def value(written: str) -> bool | int | float | str:
        read = literal(written)
        if isinstance(read, int | float | str) and read == read:  # nan is not equal to itself
            return read
        raise ValueError(f"{written} is neither a number nor a name")

    return _named(flag, text, value, "NAME=VALUE,... such as a=1,b=100")


def marks(texts: list[str] | None) -> list[dict[str, Any]] | None:
    """Read the cells to mark, each as NAME=VALUE,...; `none` alone is the empty list."""
    if texts is None:
        return None
    return [] if texts == ["none"] else [point(text, "mark") for text in texts]


def counts(text: str) -> int | dict[str, int]:
    """Read COUNT, or NAME=COUNT,..."""
    try:
        return int(text)
    except ValueError:
        return _named("refine", text, int, "COUNT, or NAME=COUNT,... such as a=257,b=129")


def windows(text: str) -> dict[str, tuple[float, float]]:
    """Read NAME=LOW:HIGH,..."""

    def bounds(value: str) -> tuple[float, float]:
        low, high = value.split(":")
        return float(low), float(high)

    return _named("to", text, bounds, "NAME=LOW:HIGH,... such as a=1:3,b=10:30")


def _named(flag: str, text: str, read: Callable[[str], Any], allowed: str) -> dict[str, Any]:
    """Read NAME=VALUE,..., each value with the function `read`."""
    try:
        given = [(name, read(value)) for name, value in (pair(flag, t) for t in text.split(","))]
    except (ValueError, OverflowError) as error:
        raise bad(flag, text, allowed) from error
    if len(dict(given)) < len(given):
        raise bad(flag, text, "a value for each name, and no name twice")
    return dict(given)
