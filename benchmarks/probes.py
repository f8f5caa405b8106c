"""Cost of probes: a sweep of the digits network with them, compared with the sweep without.

Windows of 78 steps, as 20,000 steps in 256 windows have. `python -m benchmarks.probes` lets all
ways take turns, and prints JSON: for each, nanoseconds per cell-step of every turn.
"""

import json

from .harness import turns_of

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
    import phasejax as pj
    from phasejax.engine.spec import Spec
    from phasejax.probes.names import as_probes

    pj.use_all_cores()
    side = pj.log_axis(1, 100, 8)
    grid = pj.Grid(a=side, b=pj.log_axis(1, 100, CELLS // 8), learning_rate=1e-3)
    adam = pj.Optimizer.of(pj.adam)
    plain = Spec(pj.problems.digits(), adam, grid, STEPS, WINDOWS, "float64")
    specs = {
        way: plain.with_probes(as_probes(probes)) if probes else plain
        for way, probes in WAYS.items()
    }
    return turns_of(specs, BLOCK_SIZE)


if __name__ == "__main__":
    print(json.dumps(measure()))
