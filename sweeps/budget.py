"""What more steps do to the labels: the main diagram with 20,000, 40,000 and 80,000 steps.

Writes out/budget/STEPS.zarr (some eight minutes on two cores) and prints the tables of
docs/regimes.md.
"""

import numpy as np

import phasejax as pj
from phasejax.regimes import NAMES

pj.use_all_cores()
pj.use_compilation_cache()

values = [10 ** (k / 8) for k in range(-4, 20)]
BUDGETS = (20_000, 40_000, 80_000)
labels = [
    pj.sweep(
        pj.problems.digits(),
        pj.adam,
        pj.Grid(a=values, b=values, learning_rate=1e-3, eps=1e-8),
        steps=steps,
        store=f"out/budget/{steps}.zarr",
        overwrite=True,
    )["regime"].values
    for steps in BUDGETS
]


def row(*fields: object) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(str(field) for field in fields) + " |"


print(row("steps", *NAMES))
print(row(*["---"] * (len(NAMES) + 1)))
for steps, regime in zip(BUDGETS, labels, strict=True):
    print(row(f"{steps:,}", *np.bincount(regime.ravel(), minlength=len(NAMES))))
for before, after, steps in zip(labels, labels[1:], BUDGETS[1:], strict=False):
    settled = before != NAMES.index("descending")
    moved = np.mean(before[settled] != after[settled])
    print(f"\nTo {steps:,} steps ({moved:.1%} of the cells that were not descending change):\n")
    print(row("from", *(f"to {name}" for name in NAMES)))
    print(row(*["---"] * (len(NAMES) + 1)))
    for code, name in enumerate(NAMES):
        if (before == code).any():
            print(row(name, *np.bincount(after[before == code], minlength=len(NAMES))))
