"""How labels change with more steps: the main diagram with 20,000, 40,000 and 80,000 steps.

Writes out/budget/STEPS.zarr (about eight minutes on two cores) and prints the tables of
docs/regimes.md.
"""

import numpy as np
from tables import table

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


def counts(regime: np.ndarray) -> np.ndarray:
    """Number of cells of each regime."""
    return np.bincount(regime.ravel(), minlength=len(NAMES))


budgets = zip(BUDGETS, labels, strict=True)
print(table(["steps", *NAMES], ([f"{steps:,}", *counts(regime)] for steps, regime in budgets)))
for before, after, steps in zip(labels, labels[1:], BUDGETS[1:], strict=False):
    settled = before != NAMES.index("descending")
    moved = np.mean(before[settled] != after[settled])
    print(f"\nTo {steps:,} steps ({moved:.1%} of the cells that were not descending change):\n")
    moves = [
        [name, *counts(after[before == code])]
        for code, name in enumerate(NAMES)
        if (before == code).any()
    ]
    print(table(["from", *(f"to {name}" for name in NAMES)], moves))
