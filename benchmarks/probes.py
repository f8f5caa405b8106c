"""Cost of probes: a sweep of the digits network with them, compared with the sweep without.

Windows of 78 steps, as 20,000 steps in 256 windows have. `python -m benchmarks.probes` lets all
ways take turns, and prints JSON: for each, nanoseconds per cell-step of every turn.
"""

import json
import time

import jax

from .harness import PAUSE, REPEATS

CELLS = 32
"""Number of cells."""
STEPS = 1_560
"""Steps per cell."""
WINDOWS = 20
"""Windows per cell."""
BLOCK_SIZE = 16
"""Cells that a device advances at once."""
WAYS = {
    "without": [],
    "cheap": ["norms", "edge", "cosine", "moments"],
    "sharpness": ["sharpness"],
    "predictor": ["predictor"],
    "lyapunov": ["lyapunov"],
    "period": ["period"],
}
"""Probes by way."""


def measure() -> dict[str, list[float]]:
    """Nanoseconds per cell-step of each turn of each way."""
    import numpy as np

    import phasejax as pj
    from phasejax.engine.spec import Spec
    from phasejax.engine.steps import run_steps
    from phasejax.engine.tuning import choose_placement
    from phasejax.probes.names import as_probes

    pj.use_all_cores()
    side = pj.log_axis(1, 100, 8)
    grid = pj.Grid(a=side, b=pj.log_axis(1, 100, CELLS // 8), learning_rate=1e-3)
    jobs = {}
    for way, probes in WAYS.items():
        dynamics = pj.Optimizer.of(pj.adam)
        spec = Spec(pj.problems.digits(), dynamics, grid, STEPS, WINDOWS, "float64")
        spec = spec.with_probes(as_probes(probes)) if probes else spec
        spec.check()
        jobs[way] = spec, choose_placement(spec, BLOCK_SIZE)
    times: dict[str, list[float]] = {way: [] for way in jobs}
    for _ in range(REPEATS + 1):
        for way, job in jobs.items():
            time.sleep(PAUSE)
            begin = time.perf_counter()
            with jax.enable_x64(True):
                run_steps(job[0], job[1], np.arange(CELLS))
            times[way].append((time.perf_counter() - begin) / (CELLS * STEPS) * 1e9)
    return {way: values[1:] for way, values in times.items()}  # the first turn compiles


if __name__ == "__main__":
    print(json.dumps(measure()))
