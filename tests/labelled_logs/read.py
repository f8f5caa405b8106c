"""The labelled logs: steps and training losses of each file."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

import phasejax as pj

HERE = Path(__file__).parent


class Log(NamedTuple):
    """A log and its label."""

    file: str
    part: str
    label: str
    ambiguous: bool
    spikes: int | None
    """Clear spikes that were counted, or None where they could not be."""
    spike_steps: tuple[float, ...]
    """About where, if there are at most twelve."""
    note: str
    step: np.ndarray
    loss: np.ndarray


def curve(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Steps and training losses of a file."""
    found = pj.read_log(path).curve()
    return found.index.to_numpy(), found.to_numpy()


def logs() -> list[Log]:
    """Every log of labels.csv, in order."""
    with (HERE / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [
        Log(
            row["file"],
            row["part"],
            row["label"],
            row["ambiguous"] == "yes",
            int(row["spikes"]) if row["spikes"] else None,
            tuple(map(float, row["spike_steps"].split())),
            row["note"],
            *curve(HERE / "files" / row["file"]),
        )
        for row in rows
    ]
