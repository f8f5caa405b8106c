"""How labels change in float32: the main diagram in both precisions, cell by cell.

Writes out/precision/float64.zarr and float32.zarr, and prints the table of docs/precision.md.
"""

import numpy as np
from tables import table

import phasejax as pj
from phasejax.regimes import NAMES

pj.use_all_cores()
pj.use_compilation_cache()

values = [10 ** (k / 8) for k in range(-4, 20)]
double, single = (
    pj.sweep(
        pj.problems.digits(),
        pj.adam,
        pj.Grid(a=values, b=values, learning_rate=1e-3, eps=1e-8),
        steps=20_000,
        dtype=dtype,
        store=f"out/precision/{dtype}.zarr",
        overwrite=True,
    ).load()
    for dtype in ("float64", "float32")
)
rows = []
for code, name in enumerate(NAMES):
    cells = double["regime"].values == code
    if not cells.any():
        continue
    counts = np.bincount(single["regime"].values[cells], minlength=len(NAMES))
    levels = (float(np.median(d["late_level"].values[cells])) for d in (double, single))
    rows.append([name, *counts, " → ".join(f"{level:.1f}" for level in levels)])
print(table(["float64", *(f"float32 {name}" for name in NAMES), "late level, decades"], rows))
same = int((double["regime"] == single["regime"]).sum())
print(f"\n{same} of {double['regime'].size} cells keep their label.")
changed = (double["regime"] != single["regime"]).values
margins = double["margin"].values
print(
    f"Median margin in float64: {np.median(margins[changed]):.2f} decades in the cells that "
    f"change, {np.median(margins[~changed]):.2f} in the others."
)
deep = float(double["log10_loss_mean"].min()), float(single["log10_loss_mean"].min())
print(f"Deepest window: log10 of the loss {deep[0]:.1f} in float64, {deep[1]:.1f} in float32.")
