"""What an executor costs: the time of a tile here, and by Dask's workers on this machine.

`python -m benchmarks.cluster` prints JSON. Every way sweeps the same toy problem on grids of two
sizes; the difference of their times, over that of their tiles, is what a tile takes, without the
start of processes and without compilation.
"""

import json
import tempfile
import time
from typing import Any

LANES, STEPS, WINDOWS = 32, 20_000, 64
SIDES = 128, 256
WAYS = {"here": None, "one worker": (1, 2), "one core": (1, 1), "two cores": (2, 1)}
"""Workers, and cores of each; `here` is this process with two cores."""


def seconds(executor: Any, side: int) -> tuple[float, int]:
    """Time and tiles of a sweep of `side` × `side` cells."""
    import phasejax as pj

    axis = pj.log_axis(0.3, 300, side)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        dataset = pj.sweep(
            pj.problems.quadratic((1.0, 0.1), (1.0, 1.0)),
            pj.adam,
            pj.Grid(a=axis, b=axis),
            steps=STEPS,
            windows=WINDOWS,
            lanes=LANES,
            store=f"{folder}/store",
            executor=executor,
        )
        took = time.perf_counter() - begin
        rows, columns = dataset.attrs["tile_shape"]
        return took, -(-side // rows) * -(-side // columns)


def per_tile(executor: Any) -> dict[str, float]:
    """Seconds of a tile, seconds of a thousand cells, and seconds of all that comes before."""
    seconds(executor, SIDES[0])  # compiles
    (small, few), (large, many) = (seconds(executor, side) for side in SIDES)
    tile = (large - small) / (many - few)
    thousand = (large - small) / (SIDES[1] ** 2 - SIDES[0] ** 2) * 1000
    return {"tile": tile, "thousand_cells": thousand, "start": small - few * tile}


def measure() -> dict[str, dict[str, float]]:
    """All ways, one after the other."""
    from distributed import Client, LocalCluster

    import phasejax as pj

    pj.use_all_cores()
    result = {}
    for name, shape in WAYS.items():
        if shape is None:
            result[name] = per_tile(None)
            continue
        workers, cores = shape
        options = {"n_workers": workers, "threads_per_worker": cores, "dashboard_address": None}
        with LocalCluster(processes=True, **options) as cluster, Client(cluster) as client:
            result[name] = per_tile(client)
    return result


if __name__ == "__main__":
    print(json.dumps(measure()))
