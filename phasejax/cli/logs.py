"""Training logs on the command line: which files, and what is printed of them."""

import dataclasses
import json
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._check import ArgumentError, MissingExtra, bad
from ..logs import Log, read_log
from ..logs.read import LOOKED_FOR, label_runs
from ..regimes import Regime
from .stores import is_store

SHOWN = 5
"""Most names and steps of spikes in a line."""


class Answer(NamedTuple):
    """A log and the regimes of its runs, by column."""

    log: Log
    regimes: dict[str, Regime]


def classify(
    paths: Sequence[Path],
    column: Sequence[str] | None,
    step: str | None,
    minimum: float | None,
    *,
    only_list: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Print the labels of all runs; raise the first error about a file that was named."""
    answers: list[Answer] = []
    failed: list[Exception] = []
    for path, named in _files(paths):
        try:
            log = read_log(path, column=column, step=step)
            answers.append(Answer(log, {} if only_list else label_runs(log, minimum)))
        except (ArgumentError, MissingExtra) as error:
            if named:
                failed.append(error)
            else:
                reason = str(error).removeprefix(f"path = '{path}': must be {LOOKED_FOR}")
                warnings.warn(f"skipped {path}: no training log{reason}", stacklevel=1)
    if answers:
        _print(answers, only_list=only_list, as_json=as_json)
    if answers and plot is not None:
        _draw(answers, plot)
    for error in failed[1:]:
        warnings.warn(str(error), stacklevel=1)
    if failed:
        raise failed[0]
    if not answers:
        raise bad("path", str(paths[0]), "a sweep's folder, or one with training logs in it")


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each file, and whether it was named; of a folder, all in it that is no sweep."""
    for path in paths:
        if path.is_dir():
            yield from ((file, False) for file in _inside(path))
        else:
            yield path, True


def _inside(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of those in it; what is hidden or a sweep is passed over."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or is_store(path):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _inside(path)
        elif path.is_file():
            yield path


def _print(answers: Sequence[Answer], *, only_list: bool, as_json: bool) -> None:
    if as_json and only_list:
        print(json.dumps([_described(answer.log) for answer in answers], indent=2))
    elif as_json:
        print(json.dumps([run for answer in answers for run in _runs(answer)], indent=2))
    else:
        for answer in answers:
            _print_log(answer.log)
        if not only_list:
            print()
            _print_table([row for answer in answers for row in _rows(answer, len(answers) > 1)])


def _print_log(log: Log) -> None:
    """Print what was taken of a file, and what was left out."""
    over = "rows, for lack of a step" if log.step is None else log.step
    others = f"; others: {_listed(log.others)}" if log.others else ""
    text = f"; text: {_listed(log.text)}" if log.text else ""
    print(f"{log.path}: {log.format}, loss {_listed(log.losses)} over {over}{others}{text}")
    for note in log.notes:
        print(f"  {note}")


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print columns that are as wide as their widest cell."""
    rows = [("run", "label", "last loss", "certain", "spikes"), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _rows(answer: Answer, several: bool) -> Iterator[tuple[str, ...]]:
    """Yield the row of each run."""
    for name, regime in answer.regimes.items():
        run = f"{answer.log.path}: {name}" if several else name
        last = f"{answer.log.curve(name).iloc[-1]:.4g}"
        yield run, regime.label, last, "in doubt" if regime.doubt else "sure", _spikes(regime)


def _spikes(regime: Regime) -> str:
    """Count the spikes of a run, and give the steps of the first."""
    if not regime.spikes:
        return "0"
    steps = [f"{spike.step:.10g}" for spike in regime.spikes]
    return f"{len(steps)}, at {_listed(steps)}"


def _listed(names: Sequence[str]) -> str:
    """Join the first few names."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f", … and {more} more" if more > 0 else "")


def _described(log: Log) -> dict[str, Any]:
    """Return what is in a log, for JSON."""
    return {
        "file": str(log.path),
        "format": log.format,
        "step": log.step,
        "losses": log.losses,
        "others": log.others,
        "text": log.text,
        "notes": log.notes,
    }


def _runs(answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield all that is known of each run, for JSON."""
    log = answer.log
    for name, regime in answer.regimes.items():
        about = {"file": str(log.path), "format": log.format, "column": name, "step": log.step}
        yield _finite(about | dataclasses.asdict(regime))


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have by null."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _draw(answers: Sequence[Answer], path: Path) -> None:
    """Draw all runs."""
    from ..plot.curves import Run, loss_curves

    several = len(answers) > 1
    folder = os.path.commonpath([log.path.absolute().parent for log, _ in answers])

    def title(log: Log, name: str) -> str:
        return f"{log.path.absolute().relative_to(folder)}: {name}" if several else name

    runs = [
        Run(title(log, name), log.step or "row", *_points(log, name), regime)
        for log, regimes in answers
        for name, regime in regimes.items()
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        loss_curves(runs).savefig(path, dpi=150)
    except OSError as error:
        raise bad("plot", str(path), f"a file that can be written: {error.strerror}") from error


def _points(log: Log, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps and the losses of a run."""
    curve = log.curve(name)
    return curve.index.to_numpy(), curve.to_numpy()
