"""Accuracy of the rule on the labelled set: `python -m tests.labelled.judge` prints tables.

Rows are labels by hand, columns labels of the rule. Ambiguous curves are left out.
"""

import sys

import jax
import numpy as np

from phasejax.regimes import NAMES, classify_envelope
from tests.labelled import read

EPS = float(np.finfo(float).eps)
TOYS = ("quadratic", "rosenbrock", "power 4", "power 6", "deep linear")
"""Problems whose minimum is known: it is zero."""


def judged(run: read.Run) -> tuple[str, float]:
    """Label and margin of a run by the rule."""
    one = jax.tree.map(lambda field: field[None], run.envelope)
    initial = np.array([10.0 ** run.about["initial"]])
    minimum = 0.0 if run.about["problem"] in TOYS else None
    answer = classify_envelope(one, initial, EPS, run.about["steps"], minimum)
    return NAMES[int(answer["regime"][0])], float(answer["margin"][0])


def confusion(runs: list[read.Run]) -> np.ndarray:
    """Counts of unambiguous runs, `[label by hand, label of the rule]`."""
    counts = np.zeros((len(NAMES), len(NAMES)), int)
    for run in runs:
        if not run.ambiguous:
            counts[NAMES.index(run.label), NAMES.index(judged(run)[0])] += 1
    return counts


def main() -> None:
    """Print a table for each part of the set, and with -v every run whose labels differ."""
    for part in ("set", "judge", "fresh"):
        runs = [run for run in read.runs() if run.about["part"] == part]
        counts = confusion(runs)
        right, total = counts.trace(), counts.sum()
        print(f"\n{part}: {right} of {total} unambiguous runs right ({right / total:.1%})\n")
        print("| seen | " + " | ".join(NAMES) + " |")
        print("| --- |" + " --- |" * len(NAMES))
        for name, row in zip(NAMES, counts, strict=True):
            print(f"| {name} | " + " | ".join(map(str, row)) + " |")
        if "-v" in sys.argv:
            for run in runs:
                said, margin = judged(run)
                if said != run.label:
                    mark = "ambiguous" if run.ambiguous else "wrong"
                    print(f"{run.number} {run.about['problem']}: {run.label}, {said}", mark, margin)


if __name__ == "__main__":
    main()
