"""How long flows at the edge of stability follow Adam and RMSprop, over a and b.

`python sweeps/flow_validity.py [SIDE [STEPS]]` runs both on two digits (64-16-1, tanh, 200 images)
with their stable, central and rod flows, SIDE x SIDE cells of Adam and SIDE of RMSprop, 12 by
default. It writes out/flow_validity/adam.nc and rmsprop.nc, and prints how many cells each flow
follows to 10 %, and for how long. Started again, it resumes.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from tables import table

import phasejax as pj
from phasejax.regimes import regime_counts

parser = argparse.ArgumentParser(description="How long flows follow Adam and RMSprop.")
parser.add_argument("side", nargs="?", type=int, default=12, help="values of a and of b")
parser.add_argument("steps", nargs="?", type=int, default=2_000, help="steps per cell")
given = parser.parse_args()

pj.use_all_cores()
pj.use_compilation_cache()

a, b = pj.log_axis(1, 1_000, given.side), pj.log_axis(20, 1_000, given.side)
problem = pj.problems.digits((8, 9), 200, hidden=(16,), activation="tanh")
folder = Path("out/flow_validity")
rows = []
for optimizer, axes in ((pj.adam, {"a": a, "b": b}), (pj.rmsprop, {"a": a})):
    begun, name = time.monotonic(), optimizer.__name__
    grid = pj.Grid(**axes, learning_rate=5e-4)
    found = pj.compare_flows(
        problem,
        optimizer,
        grid,
        steps=given.steps,
        block_size=min(8, -(-grid.size // 2)),
        folder=folder / name,
    )
    found.drop_attrs().to_netcdf(folder / f"{name}.nc", engine="scipy")
    seconds = time.monotonic() - begun
    print(f"{name}: {grid.size} cells in {seconds:.0f} s; {regime_counts(found)}")
    beyond = (found["flow_beyond"] > 1).any("window")
    print(f"  a direction beyond those of the central flow: {int(beyond.sum())} cells")
    for flow in found["flow"].values:
        one = found.sel(flow=flow)
        until, late = one["follows_until"], one.isel(window=-1)
        error = np.abs(late["error"].values)
        quartiles = np.nanpercentile(late["distance"], [25, 50, 75])
        rows.append(
            [
                f"{name}, {flow}",
                f"{int((until == given.steps).sum())} of {until.size}",
                f"{float(until.median()):.0f}",
                f"{np.nanmedian(error):.3f}",
                " to ".join(f"{q:.2f}" for q in quartiles[[0, 2]]),
            ]
        )
head = ["flow", "follow to the end", "steps, median", "last error, median", "distance, quartiles"]
print(table(head, rows))
