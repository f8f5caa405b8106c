"""Draw the labelled logs: `python -m tests.labelled_logs.sheets [FOLDER [DPI]]`.

Three panels per log, all losses against steps: linear, logarithmic (for a loss with negative values
the middle 98 % instead), and the last half of the rows. Triangles are spikes that were counted;
labels in brackets are ambiguous.
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from tests.labelled_logs import read

FOLDER = Path(__file__).parents[2] / "docs" / "labelled"
LOGS = 6
"""Logs on a sheet."""


def draw_log(panels: Any, log: read.Log) -> None:
    """Draw the three panels of a log."""
    whole, other, late = panels
    half = len(log.step) // 2
    for panel in (whole, other):
        panel.plot(log.step, log.loss, color="#2a1147", linewidth=0.6)
    late.plot(log.step[half:], log.loss[half:], color="#2a1147", linewidth=0.6)
    finite = log.loss[np.isfinite(log.loss)]
    if finite.min() > 0:
        other.set_yscale("log")
        tail = log.loss[half:]
        tail = tail[np.isfinite(tail)]
        if len(tail) and tail.max() > 5 * tail.min():
            late.set_yscale("log")
    else:
        other.set_ylim(*np.quantile(finite, (0.01, 0.99)))
    for spike in log.spike_steps:
        whole.plot(
            [spike],
            [1.02],
            "v",
            transform=whole.get_xaxis_transform(),
            color="#d55e00",
            markersize=4,
            clip_on=False,
        )
    label = f"({log.label})" if log.ambiguous else log.label
    spikes = "" if log.spikes is None else f", spikes: {log.spikes}"
    whole.set_title(f"{log.file.split('.')[0]}: {label}{spikes}", fontsize=10, loc="left", pad=8)
    other.set_title(log.note, fontsize=9, loc="left")
    last = "" if np.isfinite(log.loss[-1]) else ", ends with nan or inf"
    late.set_title(f"{len(log.step)} rows{last}", fontsize=9, loc="left")
    for panel in panels:
        panel.tick_params(labelsize=7)


def draw(logs: list[read.Log], path: Path, dpi: int) -> None:
    """Draw one sheet."""
    import matplotlib.pyplot as plt

    size = (15, 2.2 * len(logs))
    figure, panels = plt.subplots(len(logs), 3, figsize=size, layout="constrained", squeeze=False)
    for row, log in zip(panels, logs, strict=True):
        draw_log(row, log)
    figure.savefig(path, dpi=dpi)
    plt.close(figure)


def main(folder: Path, dpi: int = 40) -> None:
    """Draw every sheet of all parts."""
    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    logs = read.logs()
    for part in ("set", "held-out", "fresh"):
        chosen = [log for log in logs if log.part == part]
        for i in range(0, len(chosen), LOGS):
            draw(chosen[i : i + LOGS], folder / f"logs-{part}-{i // LOGS + 1}.png", dpi)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER, *map(int, sys.argv[2:]))
