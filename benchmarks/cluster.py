"""Cost of an executor: time per tile in this process, and with Dask's workers on this machine.

`python -m benchmarks.cluster` prints JSON. Every configuration sweeps the same toy problem on grids
of two sizes. The time per tile is the difference of the median times over the difference of the
numbers of tiles, so that it has no part in starting processes and compiling.
"""

import contextlib
import json
import statistics
import tempfile
import time
from typing import Any

BLOCK_SIZE = 32
"""Cells that a device advances at once."""
STEPS = 20_000
"""Steps per cell."""
WINDOWS = 64
"""Windows per cell."""
SIDES = (128, 256)
"""Values per axis of the two grids."""
REPEATS = 3
"""Repeats of each measurement."""
WAYS = {"here": None, "one worker": (1, 2), "one core": (1, 1), "two cores": (2, 1)}
"""Number of workers and cores per worker; `here` is this process with two cores."""


def seconds(executor: Any, side: int) -> tuple[float, int]:
    """Seconds and number of tiles of a sweep of `side` × `side` cells."""
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
            block_size=BLOCK_SIZE,
            store=f"{folder}/store",
            executor=executor,
        )
        took = time.perf_counter() - begin
        rows, columns = dataset.attrs["tile_shape"]
        return took, -(-side // rows) * -(-side // columns)


def per_tile(runs: list[list[tuple[float, int]]]) -> dict[str, float]:
    """Seconds per tile, per thousand cells, and until the first tile starts."""
    (_, few), (_, many) = runs[0]
    small, large = (statistics.median([run[i][0] for run in runs]) for i in (0, 1))
    tile = (large - small) / (many - few)
    thousand = (large - small) / (SIDES[1] ** 2 - SIDES[0] ** 2) * 1000
    return {"tile": tile, "thousand_cells": thousand, "start": small - few * tile}


def peak_gb() -> float:
    """Peak memory of a worker in GB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if "VmHWM" in line) / 1e6


def measure() -> dict[str, dict[str, float]]:
    """Measure all configurations in turn, so that a drift of the machine's speed affects all."""
    from distributed import Client, LocalCluster

    import phasejax as pj

    pj.use_all_cores()
    with contextlib.ExitStack() as stack:
        clients: dict[str, Any] = {}
        for name, shape in WAYS.items():
            clients[name] = None
            if shape is not None:
                workers, cores = shape
                options: dict[str, Any] = {"n_workers": workers, "threads_per_worker": cores}
                options["dashboard_address"] = ":0"
                cluster = LocalCluster(processes=True, **options)
                clients[name] = stack.enter_context(Client(stack.enter_context(cluster)))
            seconds(clients[name], SIDES[0])  # compiles
        turns = [
            {name: [seconds(client, side) for side in SIDES] for name, client in clients.items()}
            for _ in range(REPEATS)
        ]
        result = {name: per_tile([turn[name] for turn in turns]) for name in WAYS}
        for name, client in clients.items():
            if client is not None:
                result[name]["peak_gb"] = max(client.run(peak_gb).values())
    return result


if __name__ == "__main__":
    print(json.dumps(measure()))
