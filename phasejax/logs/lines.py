"""Programs that print one line per step: the table of their formats, and how a line is read."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from .content import Content, of_rows
from .source import Source

NUMBER = r"([-+]?(?:nan|inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))"
COUNT = r"(?P<step>\d+)"
STEP = "step"
COLOUR = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
"""What turns colours of a terminal on and off."""
LONGEST = 2000
"""Letters of a line that are looked at: to search a longer one would take too long."""


class LineFormat(NamedTuple):
    """How a program prints a step.

    - `name`: the program.
    - `row`: matches a line of a step; its group `step` is the step, if there is one.
    - `field`: matches a name and a number after that.
    - `loss`: names of the training loss.
    """

    name: str
    row: str
    field: str
    loss: tuple[str, ...]


FORMATS = (
    LineFormat("nanoGPT", rf"^(?:iter|step) {COUNT}: (?=(?:train )?loss )",
               rf"([a-z][a-z ]*?) {NUMBER}", ("loss",)),
    LineFormat("modded-nanogpt", rf"^step:{COUNT}/\d+ (?=(?:train|val)_)",
               rf"(\w+):{NUMBER}", ("train_loss",)),
    LineFormat("llm.c", rf"^s:{COUNT} (?=\w+:)",
               rf"(\w+):{NUMBER}", ("trl",)),
    LineFormat("llm.c", rf"^step +{COUNT}/\d+ (?=\|)",
               rf"\| *([a-z][a-z ]*?) {NUMBER}", ("loss", "train loss")),
    LineFormat("Megatron", rf"\biteration +{COUNT} ?/ *\d+ (?=\|)",
               rf"\| *([^|:]+?) *: *{NUMBER}", ("lm loss", "loss")),
    LineFormat("nanotron", rf"\biteration: +{COUNT} ?/ *\d+ (?=\|)",
               rf"\| *([^|:]+?) *: *{NUMBER}(?![\w.])", ("lm_loss", "loss")),
    LineFormat("lines with a step",
               rf"\b(?:step|iter|iteration|epoch)\b\W{{0,4}}{COUNT}\b(?=.*loss)",
               rf"([a-z][\w/]*(?: loss)?) ?[:= ] ?{NUMBER}(?![\w.])", ()),
    # Keras' progress bar (a line of an unfinished bar is none), and other lines without a step.
    LineFormat("lines with a loss",
               rf"^(?!\s*(?P<done>\d+)/(?!(?P=done)\b)\d+)(?=.*\bloss ?[:=] ?{NUMBER})",
               rf"([a-z][\w/]*(?: loss)?) ?[:= ] ?{NUMBER}(?![\w.])", ()),
)  # fmt: skip
"""In the order in which they are tried; the last two are for programs that are not known."""


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
    text = "\n".join(map(_plain, text.splitlines()))
    return next((one for one in FORMATS if re.search(one.row, text, flags)), None)


def _plain(line: str) -> str:
    """Return the end of a line as a terminal leaves it: without colours and what was deleted."""
    return COLOUR.sub("", line.rpartition("\b")[2][-LONGEST:])


def _rows(source: Source, found: LineFormat) -> Iterator[dict[str, str]]:
    row, field = (re.compile(text, re.IGNORECASE) for text in (found.row, found.field))
    for line in map(_plain, source.lines()):
        if at := row.search(line):
            step = at.groupdict().get(STEP)
            yield {**({STEP: step} if step else {}), **dict(field.findall(line, at.end()))}
