"""What stands on a command line or in a file of curves, as values."""

import ast
import dataclasses
import runpy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import phasejax as pj

from ._check import OWN_FILE, ArgumentError, bad, choice, is_number, located

NUMBERS = ("a", "b", "learning_rate", "eps", "eps_root", "seed")


def hyper_parameters(given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Read the values of each hyper-parameter; a name that comes twice is refused."""
    return {name: hyper_parameter(name, text) for name, text in once(given).items()}


def hyper_parameter(name: str, text: str) -> Any:
    """Read LOW:HIGH:COUNT[:log|linear], V1,V2,... or one value.

    Listed values are numbers; or, of a hyper-parameter that may be something else, booleans or
    names.
    """
    if ":" in text:
        return _range(name, text)
    values = literal(text)
    if isinstance(values, str) and "," in text:
        values = tuple(literal(part.strip()) for part in text.split(","))
    listed = values if isinstance(values, tuple) else (values,)
    kinds = {_kind(value) for value in listed}
    if name in NUMBERS and kinds != {"number"}:
        raise bad(name, text, "a number, V1,V2,... or LOW:HIGH:COUNT")
    if isinstance(values, tuple) and (len(kinds) != 1 or "" in kinds):
        raise bad(name, text, "numbers, or True and False, or names: V1,V2,... or LOW:HIGH:COUNT")
    return list(listed) if isinstance(values, tuple) else values


def _kind(value: Any) -> str:
    """Say what an axis would have to be of: "number", "boolean" or "name"; "" if it can't be."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "name" if isinstance(value, str) and value else ""


def _range(name: str, text: str) -> "pj.Axis":
    """Read LOW:HIGH:COUNT[:log|linear]."""
    try:
        low, high, count, scale = (text if text.count(":") == 3 else text + ":log").split(":")
        make = {"log": pj.log_axis, "linear": pj.linear_axis}[scale]
        return make(float(low), float(high), int(count))
    except (ValueError, KeyError, MemoryError) as error:
        allowed = "LOW:HIGH:COUNT with numbers LOW < HIGH and COUNT at least 2, and then "
        raise bad(name, text, f"{allowed}:log or :linear if you like ({error})") from error


def literal(text: str) -> Any:
    """Read a Python literal, or true and false as they are often written; else it is a string."""
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
    """Collect values by name; a name that comes twice is refused."""
    values: dict[str, str] = {}
    for name, value in given:
        if name in values:
            raise bad(name, value, f"given once; it is {values[name]!r} already")
        values[name] = value
    return values


def point(text: str, flag: str = "at") -> dict[str, bool | int | float | str]:
    """Read NAME=VALUE,... with numbers, True, False or names."""

    def value(written: str) -> bool | int | float | str:
        read = literal(written)
        if isinstance(read, int | float | str) and read == read:
            return read
        raise ValueError("no number, and no name")

    return _named(flag, text, value, "NAME=VALUE,... such as a=1,b=100")


def marks(texts: list[str] | None) -> list[dict[str, Any]] | None:
    """Read cells to mark, each as NAME=VALUE,...; `none` alone for none."""
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
    """Read NAME=VALUE,... with values that `read` reads."""
    try:
        given = [(name, read(value)) for name, value in (pair(flag, t) for t in text.split(","))]
    except (ValueError, OverflowError) as error:
        raise bad(flag, text, allowed) from error
    if len(dict(given)) < len(given):
        raise bad(flag, text, "a value for each name, and no name twice")
    return dict(given)


def problem(name: str, arguments: dict[str, Any]) -> "pj.Problem":
    """Find a built-in problem or call a user's own function."""
    own = from_file("problem", name)
    if own is None:
        choice("problem", name, pj.problems.BUILT_IN)
    try:
        made = (own or pj.problems.BUILT_IN[name])(**arguments)
    except (ValueError, TypeError) as error:
        if located(error) or not arguments:
            raise
        colon = "" if isinstance(error, ArgumentError) else ":"
        raise ArgumentError("problem_arg", f"{colon} {error}") from error
    if not isinstance(made, pj.Problem):
        allowed = f"a function that returns a phasejax.Problem; it returned {type(made).__name__}"
        raise bad("problem", name, allowed)
    return made


def dynamics(name: str, flow: bool, solving: dict[str, Any]) -> "pj.Dynamics":
    """Find an optimizer or a flow, or load a user's own; a flow is given what `solving` has."""
    own = from_file("optimizer", name)
    unit = "time" if flow else "step"
    found = pj.dynamics.as_dynamics(own, unit) if own else pj.dynamics.by_name(name)
    given = {key: value for key, value in solving.items() if value is not None}
    for flag, value in given.items():
        if flag not in found.config:
            raise bad(flag, value, f"left out: {name} is no flow, and has no solver")
    return dataclasses.replace(found, **given)


def from_file(flag: str, text: str) -> Callable | None:
    """Load FUNCTION from `FILE.py:FUNCTION`; `None` if the text is no such thing."""
    path, colon, name = text.rpartition(":")
    if text.endswith(".py"):
        raise bad(flag, text, "FILE.py:FUNCTION; the function is missing")
    if not (colon and path.endswith(".py")):
        return None
    if not Path(path).is_file():
        raise bad(flag, text, "FILE.py:FUNCTION; there is no such file")
    try:
        contents = runpy.run_path(path, run_name=OWN_FILE)
    except SystemExit as error:
        ends = RuntimeError(f"the file exits ({error}) while it is loaded")
        raise ends.with_traceback(error.__traceback__) from error
    except (SyntaxError, ValueError) as error:
        if located(error):
            raise
        raise bad(flag, text, f"FILE.py:FUNCTION of a Python file: {error}") from error
    choice(flag, name, [key for key, value in contents.items() if callable(value)])
    return contents[name]


def curves(path: Path) -> dict[str, np.ndarray]:
    """Read loss curves `[steps]`, one a column, by name.

    Raises a `ValueError` that says what is wrong with the file. A NPY file that would need
    unpickling is refused.
    """
    if not path.exists():
        raise bad("path", str(path), "a sweep's folder or a file; there is nothing at this path")
    try:
        names, values = _npy(path) if path.suffix.lower() == ".npy" else _csv(path)
    except Exception as error:  # whatever a damaged file may raise
        allowed = "a table of numbers, one run a column"
        raise bad("path", str(path), f"{allowed}: {error}") from error
    return dict(zip(names, values.T, strict=True))


def _npy(path: Path) -> tuple[list[str], np.ndarray]:
    """Read an array `[steps]` or `[steps, runs]`."""
    values = np.load(path, allow_pickle=False)
    if not isinstance(values, np.ndarray) or values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"it has shape {np.shape(values)}, not [steps] or [steps, runs]")
    if values.dtype.kind not in "iuf":
        raise ValueError(f"it holds {values.dtype}, not real numbers")
    values = values.reshape(len(values), -1)
    return [f"run {i}" for i in range(values.shape[1])], values


def _csv(path: Path) -> tuple[list[str], np.ndarray]:
    """Read columns with or without names in the first line; `#` begins a comment."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    if not lines:
        raise ValueError("it is empty")
    header = [field.strip() for field in lines[0].lstrip("#").split(",")]
    named = not all(map(is_number, header))
    names = header if named else [f"run {i}" for i in range(len(header))]
    if len(set(names)) < len(names):
        raise ValueError(f"line 1 names two columns alike: {', '.join(names)}")
    rows = []
    for number, line in enumerate(lines[named:], start=1 + named):
        content = line.partition("#")[0].strip()
        fields = content.split(",") if content else []
        if fields and len(fields) != len(names):
            raise ValueError(f"line {number} has {len(fields)} columns, line 1 has {len(names)}")
        try:
            rows += [[float(field) for field in fields]] if fields else []
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if not rows:
        raise ValueError("it has no rows of numbers")
    return names, np.array(rows)
