"""Errors that name the argument, its value and what is allowed."""

import difflib
import math
from collections.abc import Iterable
from typing import Any


def bad(argument: str, value: Any, allowed: str) -> ValueError:
    """Build the one-line error every check of a value raises."""
    return ValueError(f"{argument} = {value!r}: must be {allowed}")


def choice(argument: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name outside `known`, with the near miss suggested."""
    known = list(known)
    if name in known:
        return
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    shown = ", ".join(known if len(known) <= 12 else [k for k in known if "." not in k])
    raise ValueError(f"{argument} = {name!r}: unknown; {hint}known are {shown}")


def positive(argument: str, value: float) -> None:
    """Refuse a value that is not finite and greater than zero."""
    if not (math.isfinite(value) and value > 0):
        raise bad(argument, value, "a finite number greater than 0")


def non_negative(argument: str, value: float) -> None:
    """Refuse a value that is not finite and at least zero."""
    if not (math.isfinite(value) and value >= 0):
        raise bad(argument, value, "a finite number, at least 0")


def whole(argument: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Return a whole number as an `int`; refuse any other value.

    Floats and NumPy numbers that are whole count as integers.
    """
    number = value.item() if getattr(value, "ndim", None) == 0 else value
    numeric = isinstance(number, int | float) and not isinstance(number, bool)
    in_range = numeric and math.isfinite(number) and number >= least
    if not in_range or int(number) != number or (most is not None and number > most):
        upper = "" if most is None else f" and at most {most}"
        raise bad(argument, value, f"an integer, at least {least}{upper}")
    return int(number)
