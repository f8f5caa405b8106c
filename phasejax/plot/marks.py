"""Cells to mark on a plane: given ones, or the paper's three cells on the paper's plane."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from .._check import bad
from ..results.axes import cell_edges, position_of, selected, value_text

Marks = Sequence[Mapping[str, Any]]
"""Cells of a plane, each with a value of both axes: `[{"a": 1, "b": 100}]`."""
PAPER_CELLS = ({"a": 1.0, "b": 100.0}, {"a": 10.0, "b": 10.0}, {"a": 100.0, "b": 1.0})
"""Ma, Wu and E (2021): the cells they show for spikes, small oscillations and divergence."""
PAPER_RATE = 1e-3
"""Learning rate of the paper."""
PAPER_PROBLEMS = ("digits", "cifar10")
"""Built-in problems like the paper's: a small network on two classes of images."""


class Mark(NamedTuple):
    """Coordinates on a plane, and the text of the label."""

    x: float
    y: float
    text: str


def marks_on(dataset: xr.Dataset, x: str, y: str, marks: Marks | None = None) -> list[Mark]:
    """Return the marks inside a plane; `None` means the paper's cells on the paper's plane.

    Raises a `ValueError` for a mark that does not give one value of each of the two axes.
    """
    if marks is None:
        marks = PAPER_CELLS if {x, y} == {"a", "b"} and is_papers(dataset) else ()
    found = []
    for mark in marks:
        if set(mark) != {x, y}:
            raise bad("mark", ",".join(f"{k}={v}" for k, v in mark.items()), f"{x}=...,{y}=...")
        at = [position_of(dataset[name], mark[name], "mark") for name in (x, y)]
        if all(_within(dataset, name, place) for name, place in zip((x, y), at, strict=True)):
            text = f"({', '.join(value_text(mark[name]) for name in (x, y))})"
            found.append(Mark(at[0], at[1], text))
    return found


def is_papers(dataset: xr.Dataset) -> bool:
    """Say whether a sweep is the paper's: Adam in a and b, its learning rate, and its problem."""
    attrs = dataset.attrs
    rate = selected(dataset).get("learning_rate")
    return (
        attrs.get("optimizer_module") == "phasejax.dynamics.adam"
        and attrs.get("problem_builtin") in PAPER_PROBLEMS
        and rate is not None
        and bool(np.isclose(rate, PAPER_RATE, rtol=1e-9, atol=0))
    )


def _within(dataset: xr.Dataset, axis: str, place: float) -> bool:
    low, high = sorted(cell_edges(dataset, axis)[[0, -1]])
    return bool(low <= place <= high)
