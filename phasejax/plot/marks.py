"""Cells to mark on a plane: those that are asked for, or the paper's three on its own plane."""

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
PAPER_PROBLEMS = ("digits", "cifar10")
"""Built-in problems that stand for the paper's: a small network on two classes of pictures."""


class Mark(NamedTuple):
    """A place on a plane, and what is written there."""

    x: float
    y: float
    text: str


def marks_on(dataset: xr.Dataset, x: str, y: str, marks: Marks | None = None) -> list[Mark]:
    """Return the marks that lie on a plane; `None` stands for the paper's, where it is its plane.

    Raises a `ValueError` for a mark that does not give a value of both axes, and of no other.
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
    """Say whether a sweep is the paper's: Adam in a and b, at its learning rate, on its problem."""
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
