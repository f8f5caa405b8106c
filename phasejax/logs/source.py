"""A file: its compression, its encoding, and its beginning."""

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, cast

HEAD = 1 << 20
"""Bytes by which a format is recognized: settings may be printed before the first step."""
GZIP = b"\x1f\x8b"
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
"""Byte order marks and the encodings that they stand for."""


@dataclass(frozen=True)
class Source:
    """A file, which may be compressed with gzip."""

    path: Path

    def open(self) -> io.BufferedIOBase:
        """Open the file; what is read is not compressed."""
        with self.path.open("rb") as file:
            packed = file.read(2) == GZIP
        return gzip.GzipFile(self.path) if packed else self.path.open("rb")

    @cached_property
    def head(self) -> bytes:
        """The first bytes."""
        with self.open() as file:
            return file.read(HEAD)

    @cached_property
    def encoding(self) -> str:
        """UTF-8, unless a byte order mark says UTF-16."""
        return next((name for mark, name in MARKS.items() if self.head.startswith(mark)), "utf-8")

    @cached_property
    def start(self) -> str:
        """The first letters; empty for a binary file. Bytes that are not UTF-8 are replaced."""
        if self.encoding != "utf-16" and b"\0" in self.head:
            return ""
        return self.head.decode(self.encoding, errors="replace")

    def lines(self) -> Iterator[str]:
        """The lines of the text."""
        with self.open() as file:
            yield from io.TextIOWrapper(cast("IO[bytes]", file), self.encoding, errors="replace")

    def text(self) -> str:
        """The whole text."""
        with self.open() as file:
            return file.read().decode(self.encoding, errors="replace")
