"""How long flows at the edge of stability follow Adam and RMSprop, over a and b.

`python sweeps/flow_validity.py [SIDE [STEPS]]` runs both on two digits (64-16-1, tanh, 200 images)
with their stable, central and rod flows, SIDE x SIDE cells of Adam and SIDE of RMSprop, 12 by
default, in some ten minutes on two cores. It writes adam_compared.zarr and rmsprop_compared.zarr
into out/flow_validity/SIDExSTEPS, and prints how many cells each flow follows to 10 %, and for how
long. Started again, it resumes.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import xarray as xr
from tables import table

import phasejax as pj
from phasejax.dynamics.flow_report import AT_THE_EDGE

parser = argparse.ArgumentParser(description="How long flows follow Adam and RMSprop.")
parser.add_argument("side", nargs="?", type=int, default=12, help="values of a and of b")
parser.add_argument("steps", nargs="?", type=int, default=2_000, help="steps per cell")
given = parser.parse_args()
if given.side < 2:
    parser.error(f"side = {given.side}: must be at least 2")

pj.use_all_cores()
pj.use_compilation_cache()

a, b = pj.log_axis(1, 1_000, given.side), pj.log_axis(20, 1_000, given.side)
problem = pj.problems.digits((8, 9), 200, hidden=(16,), activation="tanh")
folder = Path("out/flow_validity") / f"{given.side}x{given.steps}"


def compare(optimizer: Callable, **axes: pj.Axis) -> xr.Dataset:
    """Compare one optimizer with its flows, and keep the comparison."""
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
    found.to_zarr(folder / f"{name}_compared.zarr", mode="w", zarr_format=2)
    beyond = int((found["flow_beyond"] > 1).any("window").sum())
    seconds = time.monotonic() - begun
    print(
        f"{name}: {grid.size} cells in {seconds:.0f} s; in {beyond} a third direction at the edge"
    )
    return found


def row(name: str, found: xr.Dataset, cells: xr.DataArray) -> list[str | int]:
    """How many of some cells each flow follows to the end, and how far its parameters are off."""
    count = int(cells.sum())
    followed = ((found["follows_until"] == given.steps) & cells).sum(cells.dims)
    apart = found["distance"].isel(window=-1).where(cells).median(cells.dims)
    return [name, count, *(int(x) for x in followed), *(f"{x:.1%}" for x in apart.values)]


adam, rmsprop = compare(pj.adam, a=a, b=b), compare(pj.rmsprop, a=a)
edge = adam["flow_edge_ratio"].max("window") >= AT_THE_EDGE
groups = {
    "Adam, not at the edge": ~edge,
    "Adam, at the edge": edge,
    "b >= 300, a < 300": edge & (adam["b"] >= 300) & (adam["a"] < 300),
    "b < 100": edge & (adam["b"] < 100),
}
rows = [row(name, adam, cells) for name, cells in groups.items()]
rows.append(row("RMSprop", rmsprop, xr.full_like(rmsprop["a"], True, bool)))
flows = adam["flow"].values
head = ["cells", "", *(f"{flow} follows" for flow in flows), *(f"{flow} apart" for flow in flows)]
print(table(head, rows))
print("\nLargest error of the mean loss of RMSprop in any window:")
largest = abs(rmsprop["error"]).max("window")
errors = [[f"{x:.3g}", *(f"{e:.1%}" for e in largest.sel(a=x).values)] for x in a.values]
print(table(["a", *flows], errors))
