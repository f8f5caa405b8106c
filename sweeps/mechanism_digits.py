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
defies = (spikes | (regime == "oscillation")) & ~at_edge
print(f"\n{defies.sum()} spike and oscillation cells whose late ratio is outside 0.8 to 1.1:")
a, b = np.meshgrid(dataset["a"], dataset["b"], indexing="ij")
low, high = defies & (late < 0.8), defies & (late > 1.1)
for word, cells in (("below", low), ("above", high), ("unknown", defies & np.isnan(late))):
    if cells.any():
        ratio = np.log10(b / a)[cells]
        print(
            f"  {word}: {cells.sum()} cells, b/a from {10 ** ratio.min():.2g} to "
            f"{10 ** ratio.max():.2g}, median a {np.median(a[cells]):.3g}, "
            f"b {np.median(b[cells]):.3g}"
        )
measured = np.isfinite(dataset["sharpness"].values)
converged = dataset["sharpness_residual"].values[measured] < 1e-3
print(f"\n{np.mean(converged):.1%} of {measured.sum():,} eigenvalues converged to 1e-3")
