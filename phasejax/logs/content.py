"""What a reader returns: columns of numbers that keep apart an empty cell and a written nan."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Columns = Mapping[str, pd.Series]
"""Each column has only the cells that were written, as float64, by row number.

A nan in it was written as nan.
"""

LOOKED_AT = 1000
"""Cells of a long column by which it is recognized as text."""


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


class Cells:
    """The numbers among the cells of a column, while its rows are read."""

    def __init__(self, decimal: str = ".") -> None:
        self.decimal = decimal
        self.rows, self.values = array("q"), array("d")
        self.wrong = 0
        self.example = ""

    def add(self, row: int, cell: Any) -> None:
        """Add a cell that was written."""
        value = _number(cell, self.decimal)
        if value is None:
            self.wrong += 1
            self.example = self.example or str(cell)[:40]
        else:
            self.rows.append(row)
            self.values.append(value)

    @property
    def is_text(self) -> bool:
        """Whether most of the cells are no numbers."""
        return self.wrong > len(self.values)

    @property
    def column(self) -> pd.Series:
        """The numbers by row."""
        return pd.Series(np.array(self.values), np.array(self.rows), dtype=np.float64)


def of_rows(format: str, rows: Iterable[Mapping[str, Any]], loss: Sequence[str] = ()) -> Content:
    """Build the content from one mapping per row. Cells may be text; None is an empty cell."""
    cells: dict[str, Cells] = {}
    for number, row in enumerate(rows):
        for name, cell in row.items():
            if cell is not None and cell != "":
                if name not in cells:
                    cells[name] = Cells()
                cells[name].add(number, cell)
    return _of_columns(format, cells, loss)


def of_series(format: str, series: Mapping[str, pd.Series], decimal: str = ".") -> Content:
    """Build the content from columns of written cells, of any type."""
    columns: dict[str, pd.Series | Cells] = {}
    for name, written in series.items():
        try:
            columns[name] = _all_numbers(written, decimal)
        except (TypeError, ValueError, OverflowError):
            columns[name] = _some_numbers(written, decimal)
    return _of_columns(format, columns)


def _all_numbers(written: pd.Series, decimal: str) -> pd.Series:
    """Return a column of which every cell is a number; raise an error if one is not."""
    if written.dtype.kind in "iuf":
        return written.astype(np.float64)
    if written.dtype.kind == "b" or (len(written) and isinstance(written.iloc[0], bool)):
        raise TypeError
    texts = written.str.replace(decimal, ".") if decimal != "." else written
    return pd.Series(np.array(texts.to_list(), np.float64), written.index)


def _some_numbers(written: pd.Series, decimal: str) -> Cells:
    """Return the numbers of a column; it is text if its first cells are."""
    cells = Cells(decimal)
    for place, (row, cell) in enumerate(zip(written.index, written, strict=True)):
        if place == LOOKED_AT and cells.is_text:
            break
        cells.add(row, cell)
    return cells


def _of_columns(
    format: str, columns: Mapping[str, pd.Series | Cells], loss: Sequence[str] = ()
) -> Content:
    """Set columns of text apart, and say which cells were left out."""
    cells = {name: column for name, column in columns.items() if isinstance(column, Cells)}
    text = tuple(name for name, column in cells.items() if column.is_text)
    notes = tuple(
        f"{name}: cells without a number, which are left out: {column.wrong}, as {column.example!r}"
        for name, column in cells.items()
        if column.wrong and not column.is_text
    )
    numbers = {
        name: column.column if isinstance(column, Cells) else column
        for name, column in columns.items()
        if name not in text
    }
    kept = {name: column for name, column in numbers.items() if len(column)}
    return Content(format, kept, text, notes, tuple(loss))


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
