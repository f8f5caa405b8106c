"""Composer's console: a line names the batch, numbers follow in the same line or in the next."""

import re
from collections.abc import Iterator

from .content import Content, of_rows
from .lines import NUMBER
from .source import Source

BATCH = re.compile(r"\[batch=(\d+)(?:/\d+)?\]:")
METRIC = re.compile(rf"^\s*(?:Train |Eval )?([^:\[\]]+): {NUMBER}\s*$", re.IGNORECASE)


def fits(source: Source) -> bool:
    """Whether a text names batches as Composer does."""
    return bool(BATCH.search(source.start))


def read(source: Source) -> Content:
    """Read a row for each time that a batch is named."""
    return of_rows("Composer", _rows(source), ("loss/train/total",))


def _rows(source: Source) -> Iterator[dict[str, str]]:
    row: dict[str, str] = {}
    for line in source.lines():
        batch = BATCH.search(line)
        if batch:
            if row:
                yield row
            row, line = {"batch": batch[1]}, line[batch.end() :]
        if row and (metric := METRIC.match(line)):
            row[metric[1].strip()] = metric[2]
    if row:
        yield row
