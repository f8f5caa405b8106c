"""What stands on a command line or in a file of curves, as values."""

import ast
import dataclasses
import re
import runpy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import phasejax as pj

from ._check import bad, choice

NUMBERS = ("a", "b", "learning_rate", "eps", "eps_root", "seed")


def hyper_parameter(name: str, text: str) -> Any:
    """Read LOW:HIGH:COUNT[:log|linear], V1,V2,... or one value."""
    if ":" in text:
        try:
            low, high, count, scale = (text if text.count(":") == 3 else text + ":log").split(":")
            make = {"log": pj.log_axis, "linear": pj.linear_axis}[scale]
            return make(float(low), float(high), int(count))
        except (ValueError, KeyError) as error:
            allowed = "LOW:HIGH:COUNT with numbers LOW < HIGH and COUNT at least 2, and then "
            raise bad(name, text, f"{allowed}:log or :linear if you like ({error})") from error
    values = literal(text)
    listed = values if isinstance(values, tuple) else (values,)
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in listed)
    if not numeric and (name in NUMBERS or isinstance(values, tuple)):
        raise bad(name, text, "a number, V1,V2,... or LOW:HIGH:COUNT")
    return list(listed) if isinstance(values, tuple) else values


def literal(text: str) -> Any:
    """Read a Python literal; anything else is a string."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def pair(flag: str, text: str) -> tuple[str, str]:
    """Read NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise bad(f"--{flag}", text, "NAME=VALUE")
    return name, value


def point(text: str) -> dict[str, float]:
    """Read NAME=NUMBER,..."""
    return _named("at", text, float, "NAME=NUMBER,... such as a=1,b=100")


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

    return _named("--to", text, bounds, "NAME=LOW:HIGH,... such as a=1:3,b=10:30")


def _named(flag: str, text: str, read: Callable[[str], Any], allowed: str) -> dict[str, Any]:
    """Read NAME=VALUE,... with values that `read` reads."""
    try:
        return {name: read(value) for name, value in (pair(flag, t) for t in text.split(","))}
    except ValueError as error:
        raise bad(flag, text, allowed) from error


def problem(name: str, arguments: dict[str, Any]) -> "pj.Problem":
    """Find a built-in problem or call a user's own function."""
    own = from_file("problem", name)
    if own is None:
        choice("problem", name, pj.problems.BUILT_IN)
    return (own or pj.problems.BUILT_IN[name])(**arguments)


def dynamics(name: str, flow: bool, solving: dict[str, Any]) -> "pj.Discrete | pj.Flow":
    """Find an optimizer or a flow, or load a user's own; a flow is given what `solving` has."""
    own = from_file("optimizer", name)
    found = (pj.Flow if flow else pj.Discrete).of(own) if own else pj.dynamics.by_name(name)
    given = {key: value for key, value in solving.items() if value is not None}
    if given and not isinstance(found, pj.Flow):
        flag, value = next(iter(given.items()))
        raise bad(flag, value, f"left out: {name} is no flow, and has no solver")
    return dataclasses.replace(found, **given)


def from_file(flag: str, text: str) -> Callable | None:
    """Load FUNCTION from `FILE.py:FUNCTION`; `None` if the text is no such thing."""
    path, colon, name = text.rpartition(":")
    if not (colon and path.endswith(".py")):
        return None
    if not Path(path).exists():
        raise bad(flag, text, "FILE.py:FUNCTION; there is no such file")
    contents = runpy.run_path(path)
    choice(flag, name, [key for key, value in contents.items() if callable(value)])
    return contents[name]


def curves(path: Path) -> dict[str, np.ndarray]:
    """Read loss curves, one a column. A NPY file that would need unpickling is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as that of a file without numbers
            values, names = _read_curves(path)
    except Exception as error:  # whatever a damaged file may raise
        raise bad("path", str(path), f"a file of loss curves, CSV or NPY: {error}") from error
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise bad("path", str(path), "an array [steps] or [steps, runs]")
    names = names or [f"run {i}" for i in range(values.shape[1])]
    return dict(zip(names, values.T, strict=True))


def _read_curves(path: Path) -> tuple[np.ndarray, list[str] | None]:
    """Read an array, and the names in a CSV file's header if it has one."""
    if path.suffix == ".npy":
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False).astype(float), None
    header = path.read_text().partition("\n")[0].split(",")
    named = not all(re.fullmatch(r"\s*[-+.\deEinfa]+\s*", field) for field in header)
    values = np.loadtxt(path, delimiter=",", skiprows=int(named), ndmin=2)
    return values, [field.strip() for field in header] if named else None
