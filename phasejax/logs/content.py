"""What a reader returns: columns of numbers that keep apart an empty cell and a written nan."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Columns = Mapping[str, pd.Series]
"""Each column has only the cells that were written, as float64, by row number.

A nan in it was written as nan.
"""


@dataclass(frozen=True)
class Content:
    """The columns of a file.

    - `format`: what the file is.
    - `columns`: columns of numbers, in the order of the file.
    - `text`: names of columns that hold text.
    - `notes`: what was left out, and why.
    - `loss`: what the format calls the training loss, the best first; empty if it has no rule.
    """

    format: str
    columns: Columns
    text: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    loss: tuple[str, ...] = ()


def of_rows(format: str, rows: Iterable[Mapping[str, Any]], loss: Sequence[str] = ()) -> Content:
    """Build the content from one mapping per row. Cells may be text; None is an empty cell."""
    cells: dict[str, tuple[list[int], list[Any]]] = {}
    for number, row in enumerate(rows):
        for name, cell in row.items():
            if cell is not None and cell != "":
                places, values = cells.setdefault(name, ([], []))
                places.append(number)
                values.append(cell)
    series = {name: pd.Series(v, p, dtype=object) for name, (p, v) in cells.items()}
    return of_series(format, series, loss)


def of_series(
    format: str, series: Mapping[str, pd.Series], loss: Sequence[str] = (), decimal: str = "."
) -> Content:
    """Build the content from columns of written cells, of any type.

    A column is text if more than half of its cells are no numbers.
    """
    columns, text, notes = {}, [], []
    for name, written in series.items():
        if written.dtype.kind not in "iuf":
            numbers, wrong = _numbers(written, decimal)
            if wrong is not None and len(numbers) < len(written) / 2:
                text.append(name)
                continue
            if wrong is not None:
                left_out = len(written) - len(numbers)
                notes.append(f"{name}: left out {left_out} cells without a number, as {wrong!r}")
            written = numbers
        if len(written):
            columns[name] = written.astype(np.float64)
    return Content(format, columns, tuple(text), tuple(notes), tuple(loss))


def _numbers(cells: pd.Series, decimal: str) -> tuple[pd.Series, str | None]:
    """Return the cells that are numbers, and the first that is not."""
    values = [_number(cell, decimal) for cell in cells]
    found = np.array([value is not None for value in values], bool)
    wrong = None if found.all() else str(cells.iloc[int(np.argmin(found))])[:40]
    kept = np.array([value for value in values if value is not None], np.float64)
    return pd.Series(kept, cells.index[found]), wrong


def _number(cell: Any, decimal: str) -> float | None:
    """Read a number or the text of one."""
    if isinstance(cell, bool | np.bool_):
        return None
    try:
        return float(cell.replace(decimal, ".") if isinstance(cell, str) else cell)
    except OverflowError:  # an integer beyond the largest float
        return np.inf
    except (TypeError, ValueError):
        return None
