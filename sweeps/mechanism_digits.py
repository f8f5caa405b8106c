"""How much of the main diagram the edge of stability explains: Adam on two handwritten digits.

Writes out/mechanism/sweep.zarr (five minutes on two cores), continues it if it is there, and prints
the tables of docs/mechanism.md.
"""

from pathlib import Path

import numpy as np
from tables import table

import phasejax as pj
from phasejax.regimes import NAMES

pj.use_all_cores()
pj.use_compilation_cache()

STORE = Path("out/mechanism/sweep.zarr")
values = [10 ** (k / 8) for k in range(-4, 20)]
dataset = pj.sweep(
    pj.problems.digits(),
    pj.adam,
    pj.Grid(a=values, b=values, learning_rate=1e-3, eps=1e-8),
    steps=20_000,
    probes=["sharpness"],
    store=STORE,
    resume=STORE.exists(),
).load()
found = pj.mechanism(dataset)
regime = np.array(NAMES)[dataset["regime"].values]
late, peak = found["edge_late"].values, found["edge_peak"].values
at_edge = (late >= 0.8) & (late <= 1.1)


def share(cells: np.ndarray, of: np.ndarray) -> str:
    """Number and share of the cells `of` a kind that are among `cells`."""
    return (
        f"{np.sum(cells & of)} of {np.sum(of)} ({np.mean(cells[of]):.0%})" if of.any() else "none"
    )


rows = [
    [
        name,
        str(np.sum(regime == name)),
        share(at_edge, regime == name),
        share(peak >= 1, regime == name),
        share(peak < 0.8, regime == name),
        f"{np.nanmedian(late[regime == name]):.2f}"
        if np.isfinite(late[regime == name]).any()
        else "",
    ]
    for name in NAMES
]
heads = ["regime", "cells", "late ratio 0.8 to 1.1", "reached 1", "never 0.8", "median late ratio"]
print(table(heads, rows))
spikes = regime == "spike"
began = found["spikes_at_edge"].values[spikes].sum(), dataset["spike_count"].values[spikes].sum()
print(
    f"\n{began[0]:.0f} of {began[1]:.0f} spikes of spike cells began where the ratio was at least 1"
)
delay = (found["first_spike"] - found["edge_crossing"]).values[spikes]
print(f"first spike after the first crossing: {np.nanpercentile(delay, [10, 50, 90])} steps")
live = spikes | (regime == "oscillation")
a, b = np.meshgrid(dataset["a"], dataset["b"], indexing="ij")
ratio = np.log10(b / a)
rows = []
for low in np.arange(-1.25, 3, 0.5):
    cells = live & (ratio > low - 0.01) & (ratio < low + 0.49)
    ends = f"{10**low:.2g} to {10 ** (low + 0.375):.2g}"
    late_ratios = np.nanpercentile(late[cells], [0, 50, 100])
    rows.append([ends, cells.sum(), *(f"{x:.2f}" for x in late_ratios), share(at_edge, cells)])
heads = [
    "b/a",
    "spike and oscillation cells",
    "least",
    "median",
    "largest late ratio",
    "0.8 to 1.1",
]
print(f"\n{table(heads, rows)}")
pj.variable_map(dataset, "edge_late").savefig("out/mechanism/edge_late.png", dpi=150)
measured = np.isfinite(dataset["sharpness"].values)
converged = dataset["sharpness_residual"].values[measured] < 1e-3
print(f"\n{np.mean(converged):.1%} of {measured.sum():,} eigenvalues converged to 1e-3")
