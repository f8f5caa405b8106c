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


def whole(argument: str, value: float, least: int = 1) -> None:
    """Refuse a value that is not an integer of at least `least`."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not math.isfinite(value) or int(value) != value or value < least:
        raise bad(argument, value, f"an integer, at least {least}")
