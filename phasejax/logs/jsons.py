"""JSON: the state of Hugging Face's Trainer, lines of objects, objects of lists, and fairseq."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from .content import Content, of_rows, of_series
from .source import Source

FAIRSEQ = re.compile(r"\| (?:train_inner|train) \| (?=\{)")
PRINTED = re.compile(r"\{'[^{}]*\}")


def fits_trainer(source: Source) -> bool:
    """Whether a file is a `trainer_state.json`."""
    return source.start.lstrip().startswith("{") and '"log_history"' in source.start


def read_trainer(source: Source) -> Content:
    """Read the history."""
    rows = _of_trainer(_parsed(source)["log_history"])
    return of_rows("Hugging Face trainer_state.json", rows, ("loss",))


def _of_trainer(rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of the Trainer, but not the summary of the whole run at the end.

    It writes a loss that is not finite as zero (`logging_nan_inf_filter`); the norm of the gradient
    shows it.
    """
    for row in rows:
        if "train_runtime" not in row:
            norm = row.get("grad_norm")
            broken = isinstance(norm, float) and not math.isfinite(norm) and row.get("loss") == 0
            yield {**row, "loss": math.nan} if broken else row


def fits_fairseq(source: Source) -> bool:
    """Whether a text has lines of fairseq with an object at their ends."""
    return bool(FAIRSEQ.search(source.start))


def read_fairseq(source: Source) -> Content:
    """Read the object at the end of each line that has one."""
    objects = (line[line.index("{") :] for line in source.lines() if "| {" in line)
    return of_rows("fairseq", map(_object, objects), ("loss", "train_loss"))


def fits_printed(source: Source) -> bool:
    """Whether a text has lines with a printed dict that has a loss, as the Trainer's output."""
    return _printed(source.start) is not None


def read_printed(source: Source) -> Content:
    """Read the dict of each line that has one."""
    found = filter(None, map(_printed, source.lines()))
    rows = _of_trainer(_object(_as_json(text)) for text in found)
    return of_rows("Hugging Face output", rows, ("loss",))


def _printed(text: str) -> str | None:
    """Return the first printed dict with a loss in a text."""
    return next((one for one in PRINTED.findall(text) if "loss'" in one), None)


def fits_lines(source: Source) -> bool:
    """Whether the first two lines of a text are objects."""
    first, _, rest = source.start.lstrip().partition("\n")
    return bool(_object(first)) and bool(_object(rest.partition("\n")[0]))


def read_lines(source: Source) -> Content:
    """Read an object per line; other lines are left out."""
    return of_rows("JSON lines", map(_object, source.lines()))


def fits_any(source: Source) -> bool:
    """Whether a text begins like JSON."""
    return bool(re.match(r"\s*(\{|\[\s*([\[{\]nN]|[-+.\de]+\s*[,\]]))", source.start))


def read_any(source: Source) -> Content:
    """Read a list of objects, a list of numbers, or an object with lists in it."""
    found = _parsed(source)
    rows = _rows_in(found)
    if rows is not None:
        return of_rows("JSON", map(_flat, rows))
    columns = {"loss": found} if isinstance(found, list) else dict(_lists_in(found))
    return of_series("JSON", {name: _series(cells) for name, cells in columns.items()})


def _series(cells: list) -> pd.Series:
    """Return a list as a column; null is an empty cell."""
    written = [i for i, cell in enumerate(cells) if cell is not None]
    return pd.Series([cells[i] for i in written], written, dtype=object)


def _parsed(source: Source) -> Any:
    try:
        return json.loads(source.text())
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def _rows_in(found: Any) -> list[Mapping[str, Any]] | None:
    """Return the first list of objects in a JSON value."""
    if isinstance(found, list) and found and all(isinstance(row, Mapping) for row in found):
        return found
    inside = found.values() if isinstance(found, Mapping) else ()
    return next((rows for rows in map(_rows_in, inside) if rows is not None), None)


def _lists_in(found: Any, path: str = "") -> Iterator[tuple[str, list]]:
    """Yield each list in a JSON value, and the names that lead to it."""
    if isinstance(found, list):
        yield path, found
    elif isinstance(found, Mapping):
        for name, inside in found.items():
            yield from _lists_in(inside, f"{path}/{name}" if path else str(name))


def _object(line: str) -> Mapping[str, Any]:
    """Read the object of a line; empty if it is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return _flat(found) if isinstance(found, Mapping) else {}


def _as_json(printed: str) -> str:
    """Write a dict that Python printed as JSON."""
    words = re.sub(r"\bnan\b", "NaN", re.sub(r"\binf\b", "Infinity", printed))
    return words.replace("'", '"').replace("None", "null")


def _flat(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Join the names of objects inside an object by slashes; leave lists out."""
    return dict(_leaves(row.items()))


def _leaves(items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in items:
        if isinstance(value, Mapping):
            yield from _leaves((f"{name}/{inner}", v) for inner, v in value.items())
        elif not isinstance(value, list):
            yield name, value
