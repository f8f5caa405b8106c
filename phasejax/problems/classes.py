"""The check that problems of two classes share."""

from collections.abc import Sequence

from .._check import bad, whole
from .._types import Whole


def two_classes(argument: str, values: Sequence[Whole], noun: str) -> tuple[int, int]:
    """Return two different integers from 0 to 9, or raise a `ValueError` that names `argument`.

    `noun` says in the error what the numbers are: "digits" or "classes".
    """
    found = tuple(whole(argument, value, least=0) for value in values)
    if len(found) != 2 or len(set(found)) != 2 or not set(found) <= set(range(10)):
        raise bad(argument, found, f"two different {noun} from 0 to 9")
    return found[0], found[1]
