"""Programs that print one line per step: the table of their formats, and how a line is read."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from .content import Content, of_rows
from .source import Source

NUMBER = r"([-+]?(?:nan|inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))"
STEP = "step"


class LineFormat(NamedTuple):
    """How a program prints a step.

    - `name`: the program.
    - `row`: matches a line of a step; its first group is the step.
    - `field`: matches a name and a number after that.
    - `loss`: names of the training loss.
    """

    name: str
    row: str
    field: str
    loss: tuple[str, ...]


FORMATS = (
    LineFormat("nanoGPT", r"^(?:iter|step) (\d+): (?=(?:train )?loss )",
               rf"([a-z][a-z ]*?) {NUMBER}", ("loss",)),
    LineFormat("modded-nanogpt", r"^step:(\d+)/\d+ (?=(?:train|val)_)",
               rf"(\w+):{NUMBER}", ("train_loss",)),
    LineFormat("llm.c", r"^s:(\d+) (?=\w+:)",
               rf"(\w+):{NUMBER}", ("trl",)),
    LineFormat("llm.c", r"^step +(\d+)/\d+ (?=\|)",
               rf"\| *([a-z][a-z ]*?) {NUMBER}", ("loss", "train loss")),
    LineFormat("Megatron", r"\biteration +(\d+) ?/ *\d+ (?=\|)",
               rf"\| *([^|:]+?) *: *{NUMBER}", ("lm loss", "loss")),
    LineFormat("nanotron", r"\biteration: +(\d+) ?/ *\d+ (?=\|)",
               rf"\| *([^|:]+?) *: *{NUMBER}(?![\w.])", ("lm_loss", "loss")),
    LineFormat("lines with a step", r"\b(?:step|iter|iteration|epoch)\b\W{0,4}(\d+)\b(?=.*loss)",
               rf"([a-z][\w/]*(?: loss)?) ?[:= ] ?{NUMBER}(?![\w.])", ()),
)  # fmt: skip
"""In the order in which they are tried; the last is for programs that are not known."""


def fits(source: Source) -> bool:
    """Whether a text has lines of one of the programs."""
    return _find(source.start) is not None


def read(source: Source) -> Content:
    """Read the lines of the program."""
    found = _find(source.start)
    if found is None:
        raise ValueError("it has no line of a step")
    return of_rows(found.name, _rows(source, found), found.loss)


def _find(text: str) -> LineFormat | None:
    """Return the first format of which the text has a line."""
    flags = re.MULTILINE | re.IGNORECASE
    return next((one for one in FORMATS if re.search(one.row, text, flags)), None)


def _rows(source: Source, found: LineFormat) -> Iterator[dict[str, str]]:
    row, field = (re.compile(text, re.IGNORECASE) for text in (found.row, found.field))
    for line in source.lines():
        if at := row.search(line):
            yield {STEP: at[1], **dict(field.findall(line, at.end()))}
