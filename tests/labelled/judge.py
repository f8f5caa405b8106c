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


def judged(runs: list[read.Run]) -> list[tuple[str, float]]:
    """Label and margin of each run by the rule; runs of one length are classified together."""
    groups: dict[tuple, list[int]] = {}
    for place, run in enumerate(runs):
        minimum = 0.0 if run.about["problem"] in TOYS else None
        alike = run.about["steps"], run.curve.shape[1], minimum
        groups.setdefault(alike, []).append(place)
    found: dict[int, tuple[str, float]] = {}
    for (steps, _, minimum), places in groups.items():
        envelopes = [runs[place].envelope for place in places]
        together = jax.tree.map(lambda *fields: np.stack(fields), *envelopes)
        initial = np.array([10.0 ** runs[place].about["initial"] for place in places])
        answer = classify_envelope(together, initial, EPS, steps, minimum)
        labels = [NAMES[code] for code in answer["regime"]]
        found |= dict(zip(places, zip(labels, answer["margin"].tolist(), strict=True), strict=True))
    return [found[place] for place in range(len(runs))]


def confusion(runs: list[read.Run]) -> np.ndarray:
    """Counts of unambiguous runs, `[label by hand, label of the rule]`."""
    counts = np.zeros((len(NAMES), len(NAMES)), int)
    clear = [run for run in runs if not run.ambiguous]
    for run, (said, _) in zip(clear, judged(clear), strict=True):
        counts[NAMES.index(run.label), NAMES.index(said)] += 1
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
            for run, (said, margin) in zip(runs, judged(runs), strict=True):
                if said != run.label:
                    mark = "ambiguous" if run.ambiguous else "wrong"
                    print(f"{run.number} {run.about['problem']}: {run.label}, {said}", mark, margin)


if __name__ == "__main__":
    main()
