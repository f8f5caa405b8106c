"""The labelled logs: steps and training losses of each file, in the order of the file."""

import csv
import gzip
import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent
STEPS = ("step", "Step", "iteration", "num_updates", "epoch")
LOSSES = ("train_loss", "loss", "Value")
NUMBER = r"(nan|[-+]?inf|[-+]?[\d.]+(?:e[-+]?\d+)?)"
LINES = [
    rf"iter (\d+): loss {NUMBER}",
    rf"step:(\d+)/\d+ train_loss:{NUMBER}",
    rf"s:(\d+) trl:{NUMBER}",
    rf"iteration:? +(\d+) ?/.*lm[ _]loss: {NUMBER}",
    rf"\[batch=(\d+)[^\]]*\]:(?:\n +.*)* (?:Train )?loss/train/total: {NUMBER}",
    rf"^(\d+) {NUMBER}$",
]


class Log(NamedTuple):
    """A log and its label."""

    file: str
    half: str
    label: str
    ambiguous: bool
    spikes: int | None
    """Clear spikes that were counted, or None where they could not be."""
    spike_steps: tuple[float, ...]
    """About where, if there are at most twelve."""
    note: str
    step: np.ndarray
    loss: np.ndarray


def objects(text: str) -> list[dict]:
    """The rows of tables and of JSON."""
    if '"log_history"' in text:
        return json.loads(text)["log_history"]
    if text.startswith("{") or "| INFO |" in text:
        return [json.loads(line[line.index("{") :]) for line in text.splitlines()]
    header = text.split("\n", 1)[0]
    delimiter = next((mark for mark in "\t;," if mark in header), None)
    if delimiter is None or ":" in header:
        return []
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter)
    return [{k.split(" - ")[-1].removeprefix("train/"): v for k, v in r.items()} for r in rows]


def curve(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Steps and training losses of a file."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    pairs = []
    for row in objects(text):
        loss = next((row[name] for name in LOSSES if row.get(name, "") != ""), None)
        if loss is not None and "train_runtime" not in row:
            pairs.append((next(row[name] for name in STEPS if row.get(name, "") != ""), loss))
    for line in LINES:
        pairs = pairs or re.findall(line, text, re.MULTILINE | re.IGNORECASE)
    step, loss = np.array(pairs, dtype=float).T
    return step, loss


def logs() -> list[Log]:
    """Every log of labels.csv, in order."""
    with (HERE / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [
        Log(
            row["file"],
            row["half"],
            row["label"],
            row["ambiguous"] == "yes",
            int(row["spikes"]) if row["spikes"] else None,
            tuple(map(float, row["spike_steps"].split())),
            row["note"],
            *curve(HERE / "files" / row["file"]),
        )
        for row in rows
    ]
