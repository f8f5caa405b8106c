"""Tables of text: any delimiter, with names in the first line or without."""

import collections
import csv
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .._check import is_number
from .content import Content, of_series
from .source import Source

LOOKED_AT = 200
"""Lines by which the layout of a table is recognized."""
AGREE = 0.9
"""Share of the lines that have as many fields as most."""
DELIMITERS = {"\t": "tab-separated table", ";": "semicolon-separated table",
              ",": "comma-separated table", "|": "table separated by |",
              " ": "whitespace-separated table"}  # fmt: skip
EMPTY = ["", "NA", "N/A", "<NA>", "null", "NULL", "None", "none", "-", "--"]
"""Texts of an empty cell. nan is none of them: it is a loss that was not a number."""
DECIMAL_COMMA = re.compile(r"^[-+]?\d+,\d+(e[-+]?\d+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a table is written.

    - `delimiter`: a blank stands for any white space.
    - `names`: names of its columns.
    - `skip`: lines before the first row.
    - `decimal`: the decimal mark.
    - `comments`: whether # begins a comment.
    """

    delimiter: str
    names: tuple[str, ...]
    skip: int
    decimal: str
    comments: bool


def fits(source: Source) -> bool:
    """Whether a file is a text, which may be a table."""
    return bool(source.start.strip())


def read(source: Source) -> Content:
    """Read a table."""
    layout = _layout(source.start)
    try:
        table = _table(source, layout)
    except pd.errors.ParserError as error:
        fields = re.search(r"Expected (\d+) fields in (line \d+), saw (\d+)", str(error))
        said = "{1} has {2} fields, not {0}".format(*fields.groups()) if fields else str(error)
        raise ValueError(said) from error
    series = {name: table.iloc[:, i].dropna() for i, name in enumerate(layout.names)}
    return of_series(_program(layout), series, decimal=layout.decimal)


def _table(source: Source, layout: Layout) -> pd.DataFrame:
    with source.open() as file:
        return pd.read_csv(
            file,
            sep=r"\s+" if layout.delimiter == " " else layout.delimiter,
            header=None,
            names=range(len(layout.names)),
            index_col=False,
            skiprows=layout.skip,
            comment="#" if layout.comments else None,
            na_values=EMPTY,
            keep_default_na=False,
            skipinitialspace=True,
            decimal=layout.decimal,
            encoding=source.encoding,
            encoding_errors="replace",
            low_memory=False,
        )


def _program(layout: Layout) -> str:
    """Return which program wrote a table, by the names of its columns."""
    names = set(layout.names)
    if names == {"Wall time", "Step", "Value"}:
        return "TensorBoard CSV export"
    if any(name.endswith("__MIN") for name in names):
        return "W&B CSV export"
    if {"epoch", "step"} < names and layout.delimiter == ",":
        return "Lightning metrics.csv"
    if layout.names[0] == "epoch" and "loss" in names and layout.delimiter == ",":
        return "Keras CSV log"
    return DELIMITERS[layout.delimiter]


def _layout(start: str) -> Layout:
    """Recognize the layout of a table by its first lines."""
    lines = list(enumerate(start.splitlines()[:LOOKED_AT]))
    content = [(at, line) for at, line in lines if line.strip() and not line.startswith("#")]
    if not content:
        raise ValueError("it has no rows of numbers")
    delimiter = _delimiter([line for _, line in content])
    rows = [_split(line, delimiter) for _, line in content]
    named = _is_header(rows)
    data, first = (rows[1:], content[0][0] + 1) if named else (rows, content[0][0])
    header = rows[0] if named else _comment_before(lines, content[0][0], delimiter)
    names = _fill(header, data)
    decimal = "," if delimiter != "," and _has_decimal_commas(data) else "."
    return Layout(delimiter, names, first, decimal, not (named and "#" in content[0][1]))


def _delimiter(lines: Sequence[str]) -> str:
    """Return the first delimiter that splits nearly all lines into equally many fields."""
    for delimiter in DELIMITERS:
        counts = collections.Counter(len(_split(line, delimiter)) for line in lines)
        most, often = counts.most_common(1)[0]
        if most > 1 and often >= AGREE * len(lines) - 1:
            return delimiter
    return ","


def _split(line: str, delimiter: str) -> list[str]:
    """Split a line into fields."""
    line = line if '"' in line else line.partition("#")[0]
    if delimiter == " ":
        return line.split()
    fields = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return [field.strip() for field in fields]


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is one of names."""
    first, *rest = rows
    if not all(not field or is_number(field.replace(",", ".")) for field in first):
        return True
    counted = [str(i) for i in range(len(first))]
    if list(first) == ["", *counted[:-1]]:  # pandas' index and its names of columns
        return True
    later = [row[0] for row in rest if row]
    return list(first) == counted and any(re.search("[.,e]", field) for field in later)


def _comment_before(lines: Sequence[tuple[int, str]], at: int, delimiter: str) -> list[str]:
    """Return the names in the comment before the first row, if there is one."""
    comments = [line for _, line in lines[:at] if line.startswith("#")]
    return _split(comments[-1].lstrip("# "), delimiter) if comments else []


def _fill(header: Sequence[str], data: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return a name for every column, each another one."""
    width = max(collections.Counter(map(len, data)).most_common(1)[0][0] if data else 0, 1)
    names = list(header)
    if names and width == len(names) + 1 and any(row[-1] for row in data):
        names = ["index", *names]  # only the index has no name
    if len(names) < width and any(row[len(names) :] != [""] for row in data):
        names = _unnamed(data, width)
    names += [""] * (width - len(names))
    names = [name or ("index" if i == 0 else f"column {i}") for i, name in enumerate(names)]
    return tuple(_distinct(names))


def _unnamed(data: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return names of columns without names; a first column that counts is the step."""
    names = [f"column {i}" for i in range(width)]
    first = [row[0] for row in data if row]
    if width > 1 and all(map(str.isdigit, first)):
        counts = list(map(int, first))
        if all(a < b for a, b in itertools.pairwise(counts)):
            names[0] = "step"
    return names


def _distinct(names: Sequence[str]) -> list[str]:
    """Number names that occur again: loss, loss.1."""
    found: list[str] = []
    for name in names:
        seen = len([other for other in found if re.sub(r"\.\d+$", "", other) == name])
        found.append(f"{name}.{seen}" if name in found else name)
    return found


def _has_decimal_commas(data: Sequence[Sequence[str]]) -> bool:
    return any(DECIMAL_COMMA.match(field) for row in data for field in row)
