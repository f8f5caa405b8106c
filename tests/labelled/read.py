"""The labelled set: 360 runs of eighteen problems, with labels by hand."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phasejax.envelope import Envelope

HERE = Path(__file__).parent


class Run(NamedTuple):
    """A curve, its origin, and its label."""

    number: int
    about: dict
    curve: np.ndarray
    """log10 of minimum, maximum and mean, and the mean of log10, `[4, window]`."""
    label: str
    ambiguous: bool

    @property
    def envelope(self) -> Envelope:
        """The statistics in the form of a sweep."""
        minimum, maximum, mean, level = self.curve.astype(float)
        unknown = np.full_like(level, np.nan)
        return Envelope(10.0**minimum, 10.0**maximum, 10.0**mean, level, unknown)


def runs() -> list[Run]:
    """Every run in order; without labels.csv the labels are empty."""
    with np.load(HERE / "curves.npz") as stored:
        curves, about = stored["curves"], json.loads(str(stored["about"]))
    path = HERE / "labels.csv"
    rows = list(csv.DictReader(path.open())) if path.exists() else [{}] * len(about)
    return [
        Run(i, a, curve, row.get("label", ""), row.get("ambiguous", "") == "yes")
        for i, (a, curve, row) in enumerate(zip(about, curves, rows, strict=True))
    ]
