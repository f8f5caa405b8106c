"""The formats of logs, and which one a file has."""

from collections.abc import Callable
from typing import NamedTuple

from . import arrays, composer, events, jsons, lines, tables
from .content import Content
from .source import Source


class Format(NamedTuple):
    """A kind of file.

    - `name`: what is looked for.
    - `fits`: whether a file is of this kind, by its beginning.
    - `read`: its columns.
    """

    name: str
    fits: Callable[[Source], bool]
    read: Callable[[Source], Content]


FORMATS = (
    Format("NPY", arrays.fits, arrays.read),
    Format("TensorBoard events", events.fits, events.read),
    Format("trainer_state.json", jsons.fits_trainer, jsons.read_trainer),
    Format("Hugging Face output", jsons.fits_printed, jsons.read_printed),
    Format("fairseq", jsons.fits_fairseq, jsons.read_fairseq),
    Format("JSON lines", jsons.fits_lines, jsons.read_lines),
    Format("JSON", jsons.fits_any, jsons.read_any),
    Format("Composer", composer.fits, composer.read),
    Format("/".join(dict.fromkeys(one.name for one in lines.FORMATS)), lines.fits, lines.read),
    Format("a table of numbers", tables.fits, tables.read),
)
"""In the order in which they are tried."""


def read(source: Source) -> Content:
    """Read a file in the first format that fits."""
    if not source.head:
        raise ValueError("it is empty")
    for format in FORMATS:
        if format.fits(source):
            return format.read(source)
    raise ValueError("it is not text")
