"""Cost of the flows at the edge of stability, compared with the optimizer that they follow.

`python -m benchmarks.following` lets RMSprop on a small tanh network and its flows take turns, and
prints JSON: for each, nanoseconds per cell-step of every turn.
"""

import json

from .harness import turns_of

CELLS = 8
"""Number of cells, a block on each of two devices."""
STEPS = 200
"""Steps per cell."""


def measure() -> dict[str, list[float]]:
    """Nanoseconds per cell-step of each turn of the optimizer and of each flow."""
    import phasejax as pj
    from phasejax.engine.spec import Spec

    pj.use_all_cores()
    problem = pj.problems.digits((8, 9), 200, hidden=(16,), activation="tanh")
    grid = pj.Grid(a=pj.log_axis(10, 1_000, CELLS), learning_rate=5e-4)
    ways = {
        "without": pj.Optimizer.of(pj.rmsprop),
        "stable": pj.stable_flow(pj.rmsprop),
        "central, 1 direction": pj.central_flow(pj.rmsprop, 1),
        "central, 2 directions": pj.central_flow(pj.rmsprop, 2),
        "rod": pj.rod_flow(pj.rmsprop),
    }
    specs = {
        way: Spec(problem, dynamics, grid, STEPS, 10, "float64") for way, dynamics in ways.items()
    }
    return turns_of(specs, CELLS // 2)


if __name__ == "__main__":
    print(json.dumps(measure()))
