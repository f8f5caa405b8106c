"""Read a training log, and label its runs."""

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from .._check import ArgumentError, MissingExtra, bad, choice
from ..regimes import Regime, classify_curve
from . import formats, names
from .content import Content
from .log import Log
from .source import Source
from .steps import by_step, choose

MIN_STEPS = 16
"""Fewest losses of a run that is labelled."""
LOOKED_FOR = "a training log (" + ", ".join(one.name for one in formats.FORMATS) + ")"


def read_log(
    path: str | PathLike[str],
    *,
    column: str | Sequence[str] | None = None,
    step: str | None = None,
) -> Log:
    """Read the training log of another program.

    **Arguments:**

    - `path`: the file; it may be compressed with gzip. Its format is recognized by its content.
    - `column`: the name of the column of losses, or several; found by name if it is left out.
    - `step`: the name of the column of steps; found by name if it is left out.

    Returns a `Log`. Raises a `ValueError` that says what was looked for if the file has none.

    ```python
    log = pj.read_log("metrics.csv")
    loss = log.curve()
    regime = pj.classify_curve(loss, step=loss.index)
    ```
    """
    path = Path(path)
    content = _content(path)
    columns = content.columns
    for given in (column,) if isinstance(column, str) else column or ():
        choice("column", given, columns)
    if step is not None:
        choice("step", step, columns)
    losses = _losses(path, content, column)
    if step is None:
        step = choose(columns, names.steps(columns), losses[0])
    others = tuple(name for name in columns if name not in losses and name != step)
    notes = content.notes + tuple(note for name in losses for note in _notes(content, name, step))
    return Log(path, content.format, columns, step, losses, others, content.text, notes)


def classify_log(
    path: str | PathLike[str],
    *,
    minimum: float | None = None,
    column: str | Sequence[str] | None = None,
    step: str | None = None,
) -> dict[str, Regime]:
    """Classify every run of a training log.

    **Arguments:**

    - `path`, `column`, `step`: as in `phasejax.read_log`.
    - `minimum`: as in `phasejax.classify_curve`.

    Returns the regime of each run, by the name of its column. Runs of fewer than 16 losses are left
    out with a warning; raises a `ValueError` if there is no other.

    ```python
    for name, regime in pj.classify_log("metrics.csv").items():
        print(name, regime, len(regime.spikes))
    ```
    """
    return label_runs(read_log(path, column=column, step=step), minimum)


def label_runs(log: Log, minimum: float | None = None) -> dict[str, Regime]:
    """Classify every run of a log that has been read."""
    curves = {name: log.curve(name) for name in log.losses}
    short = [name for name, curve in curves.items() if len(curve) < MIN_STEPS]
    said = f"at least {MIN_STEPS} losses"
    if len(short) == len(curves):
        found = ", ".join(f"{name} has {len(curves[name])}" for name in short)
        raise bad("path", str(log.path), f"a training log of {said} in a run: {found}")
    for name in short:
        warnings.warn(f"{log.path}: {name}: left out, it has not {said}", stacklevel=3)
    return {
        name: _labelled(log.path, name, curve, minimum)
        for name, curve in curves.items()
        if name not in short
    }


def _labelled(path: Path, name: str, curve: pd.Series, minimum: float | None) -> Regime:
    """Label one run; an error about the losses names the file and the column."""
    try:
        return classify_curve(curve.to_numpy(), minimum, step=curve.index.to_numpy())
    except ArgumentError as error:
        if error.argument == "minimum":
            raise
        raise ArgumentError("path", f" = {str(path)!r}: {name}: {error}") from error


def _content(path: Path) -> Content:
    """Read the columns of a file; every error names it."""
    if not path.exists():
        raise bad("path", str(path), f"{LOOKED_FOR}; there is nothing at this path")
    if not path.is_file():
        raise bad("path", str(path), f"{LOOKED_FOR}: it is not a file; of a folder, give the files")
    try:
        return formats.read(Source(path))
    except (MissingExtra, MemoryError):
        raise
    except Exception as error:  # a damaged file may raise anything
        raise bad("path", str(path), f"{LOOKED_FOR}: {error}") from error


def _losses(path: Path, content: Content, column: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that are losses: those that are given, or else by their names."""
    if column:
        return (column,) if isinstance(column, str) else tuple(column)
    found = names.losses(tuple(content.columns), content.loss)
    if not found:
        said = f"it has {', '.join(content.columns)}" if content.columns else "it has no numbers"
        raise bad("path", str(path), f"{LOOKED_FOR} with a loss: {said}")
    return found


def _notes(content: Content, name: str, step: str | None) -> list[str]:
    """Say which rows of a curve were left out."""
    at = None if step is None else content.columns[step]
    found = by_step(content.columns[name], at)
    notes = []
    broken = found.curve.index[~np.isfinite(found.curve.to_numpy())]
    if len(broken):
        notes.append(f"{name}: not finite: {len(broken)}, first at {broken[0]:.10g}")
    if found.repeated:
        notes.append(f"{name}: repeated steps: {found.repeated}; the last row of each is kept")
    if found.restarts:
        notes.append(
            f"{name}: restarts from an earlier step: {found.restarts}; rows that were run again "
            f"and are left out: {found.dropped}"
        )
    return notes
