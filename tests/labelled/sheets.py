"""Draw the labelled set: `python tests/labelled/sheets.py [FOLDER]` writes one sheet per problem.

Each panel is a run: log10 of the loss against steps, from the minimum to the maximum of each
window, and the window's mean of log10 as a line. The second half, which is classified, is shaded;
a dotted line is the initial loss. Numbers are rows of labels.csv; labels in brackets are ambiguous.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from tests.labelled import read

FOLDER = Path(__file__).parents[2] / "docs" / "labelled"
ROWS, COLUMNS = 4, 5


def draw(runs: list[read.Run], path: Path) -> None:
    """Draw one sheet of up to twenty runs."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(ROWS, COLUMNS, figsize=(16, 10), layout="constrained")
    for panel, run in zip(panels.flat, runs, strict=True):
        low, high, _, level = np.clip(run.curve, -330, 40)
        step = np.linspace(0, run.about["steps"], len(level), endpoint=False)
        panel.fill_between(step, low, high, color="#56b4e9", alpha=0.6, linewidth=0)
        panel.plot(step, level, color="#2a1147", linewidth=0.8)
        panel.axhline(run.about["initial"], color="black", linestyle=":", linewidth=0.8)
        panel.axvspan(run.about["steps"] / 2, run.about["steps"], color="black", alpha=0.06)
        panel.set_xlim(0, run.about["steps"])
        bottom = min(level.min(), run.about["initial"] - 1)
        panel.set_ylim(bottom - 0.05 * (high.max() - bottom), high.max() + 0.5)
        label = f"({run.label})" if run.ambiguous else run.label
        where = [f"{name} {run.about[name]:.3g}" for name in ("a", "b") if run.about.get(name)]
        where += [] if run.about.get("b") else [f"η {run.about['learning_rate']:.2g}"]
        panel.set_title(f"{run.number}  {', '.join(where)}  {label}", fontsize=9)
        panel.tick_params(labelsize=7)
    about = runs[0].about
    figure.suptitle(f"{about['problem']}, {about['optimizer']}: log10 of the loss against steps")
    figure.savefig(path, dpi=72)
    plt.close(figure)


def main(folder: Path) -> None:
    """Draw a sheet for every problem."""
    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    runs = read.runs()
    for name in dict.fromkeys(run.about["problem"] for run in runs):
        sheet = [run for run in runs if run.about["problem"] == name]
        draw(sheet, folder / f"{name.replace(' ', '-')}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
