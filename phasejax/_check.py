"""Errors that name the argument, its value and what is allowed."""

import difflib
import math
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

OWN_FILE = "<run_path>"
"""Module name of a user's file that is given as FILE.py:FUNCTION."""


class ArgumentError(ValueError):
    """A wrong argument.

    Its message is the argument's name followed by a text. The two are kept apart so that the
    command line can say `--learning-rate` for `learning_rate`.
    """

    def __init__(self, argument: str, text: str) -> None:
        super().__init__(argument, text)
        self.argument, self.text = argument, text

    def __str__(self) -> str:
        return self.argument + self.text

    def renamed(self, names: Mapping[str, str]) -> "ArgumentError":
        """Return the same error with another name for the argument, if `names` has one.

        Of an argument of several words, such as `dataset axes`, the first is looked up.
        """
        name, space, rest = self.argument.partition(" ")
        return ArgumentError(names.get(name, name) + space + rest, self.text)


class MissingExtra(ImportError):
    """A package is missing that comes with one of phasejax's extras."""

    def __init__(self, user: str, extra: str) -> None:
        super().__init__(f"{user} needs more packages: pip install 'phasejax[{extra}]'")


def bad(argument: str, value: Any, allowed: str) -> ArgumentError:
    """Build the one-line error that every check of a value raises."""
    return ArgumentError(argument, f" = {value!r}: must be {allowed}")


def choice(argument: str, name: str, known: Iterable[str], hint: str = "") -> None:
    """Refuse a name that is not in `known`; the error has `hint`, or else suggests a similar name.

    Of more than twelve known names, only those without a dot are listed.
    """
    known = list(known)
    if name in known:
        return
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    if close and not hint:
        hint = f"did you mean {close[0]!r}?"
    shown = ", ".join(known if len(known) <= 12 else [k for k in known if "." not in k])
    said = " ".join(part for part in (hint, f"known are {shown}") if part)
    raise ArgumentError(argument, f" = {name!r}: unknown; {said}")


def located(error: BaseException) -> str | None:
    """Describe an error raised in a user's FILE.py as FILE.py:LINE: KIND: TEXT; else `None`.

    If the package raised an error from one of the user's file, the line is that of the user's, and
    kind and text are the package's.
    """
    lines = [
        f"{frame.f_code.co_filename}:{line}"
        for one in _with_causes(error)
        for frame, line in traceback.walk_tb(one.__traceback__)
        if frame.f_globals.get("__name__") == OWN_FILE
    ]
    said = " ".join(str(error).split())
    if isinstance(error, SyntaxError) and Path(error.filename or "").suffix == ".py":
        lines.append(f"{error.filename}:{error.lineno}")
        said = error.msg
    return f"{lines[-1]}: {type(error).__name__}: {said}" if lines else None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its cause, the cause of that, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def said(error: BaseException, most: int = 400) -> str:
    """Return kind and text of an error of other code, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:most]}"


def positive(argument: str, value: float) -> None:
    """Refuse a value that is not finite and greater than zero."""
    if not (is_finite_number(value) and value > 0):
        raise bad(argument, value, "a finite number greater than 0")


def non_negative(argument: str, value: float) -> None:
    """Refuse a value that is not finite and at least zero."""
    if not (is_finite_number(value) and value >= 0):
        raise bad(argument, value, "a finite number, at least 0")


def whole(argument: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Return an integer from `least` to `most` as an `int`; refuse any other value.

    A float or a NumPy number without a fractional part counts as an integer.
    """
    in_range = is_finite_number(value) and value >= least
    if not in_range or int(value) != value or (most is not None and value > most):
        upper = "" if most is None else f" and at most {most}"
        raise bad(argument, value, f"an integer, at least {least}{upper}")
    return int(value)


def is_finite_number(value: Any) -> bool:
    """Say whether a value is one finite real number, and no bool."""
    number = value.item() if getattr(value, "ndim", None) == 0 else value
    numeric = isinstance(number, int | float) and not isinstance(number, bool)
    return numeric and math.isfinite(number)


def is_number(text: str) -> bool:
    """Say whether `float` can read a text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def swept(dataset: Any, *names: str) -> None:
    """Refuse a dataset that lacks a variable that every sweep has, or has no cells."""
    for name in names:
        if name not in dataset:
            said = f" has no {name}: give what phasejax.sweep or phasejax.open_dataset returned"
            raise ArgumentError("dataset", said)
    for axis in dataset[names[0]].dims:
        if not dataset.sizes[axis]:
            raise ArgumentError("dataset", f" has no cells: select at least one value of {axis}")
