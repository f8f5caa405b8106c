"""Sweeps of flows: the time of a sweep compared with an ideal in which all cells are always busy.

`python -m benchmarks.flows SOLVER [SIDE] [PROBLEM]` solves Adam's flow on SIDE × SIDE (32 × 32)
cells and prints JSON. The default problem is a quadratic in two dimensions with ε = 1e-8 inside the
root, to time 20; `digits` is a small tanh network with ε = 1e-4 inside the root, to time 10. The
ideal time is the number of steps that the cells take, for each method, times the cost of a step in
a call that keeps all cells busy.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

REPEATS = 5
"""Repeats of each measurement."""
BUSY = 128
"""Steps of a call that keeps all cells of a block busy: every cell takes more."""


def arguments_of(problem: str, solver: str, side: int) -> dict:
    """Arguments of the sweep for one of the two problems."""
    import phasejax as pj

    axis = pj.log_axis(0.3, 300, side)
    if problem == "digits":
        return {
            "problem": pj.problems.digits(activation="tanh"),
            "dynamics": pj.Flow(pj.adam_flow, solver=solver, rtol=1e-6, atol=1e-10),
            "grid": pj.Grid(a=axis, b=axis, eps_root=1e-4),
            "time": 10.0,
        }
    return {
        "problem": pj.problems.quadratic((1.0, 0.1), (1.0, 1.0)),
        "dynamics": pj.Flow(pj.adam_flow, solver=solver),
        "grid": pj.Grid(a=axis, b=axis, eps_root=1e-8),
        "time": 20.0,
    }


class Calls:
    """Wraps the kernel's `advance`; records the steps and the first call of each method."""

    def __init__(self, advance: Callable) -> None:
        self.advance = advance
        self.first: dict[str, tuple] = {}
        self.steps: dict[str, int] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Call `advance`, and count the steps."""
        method, state = arguments[0].program.method, arguments[3]
        before = np.asarray(state.walk.steps).sum()
        result = self.advance(*arguments)
        self.first.setdefault(method, arguments)
        taken = int(np.asarray(result[0].walk.steps).sum() - before)
        self.steps[method] = self.steps.get(method, 0) + taken
        return result

    def cost(self, method: str) -> float:
        """Seconds per step in one block with all cells busy: the shortest of several runs."""
        *arguments, portion, _ = self.first[method]
        portion = portion._replace(attempts=np.asarray(BUSY, np.int32))
        before, least = np.asarray(arguments[-1].walk.steps).sum(), np.inf
        for _ in range(2 * REPEATS):
            begin = time.perf_counter()
            state, _ = self.advance(*arguments, portion, np.asarray(1, np.int32))
            taken = float(np.asarray(state.walk.steps).sum() - before)
            least = min(least, (time.perf_counter() - begin) / taken)
        return float(least)


def measure(solver: str, side: str = "32", problem: str = "quadratic") -> dict[str, Any]:
    """Seconds of the whole sweep and of the ideal, numbers of steps and of unresolved cells."""
    import jax

    import phasejax as pj
    from phasejax.engine import kernel

    pj.use_all_cores()
    arguments = arguments_of(problem, solver, int(side))
    calls = Calls(kernel.advance)
    kernel.advance = calls  # pyright: ignore[reportAttributeAccessIssue]
    begin = time.perf_counter()
    dataset = pj.sweep(**arguments)
    first = time.perf_counter() - begin
    steps = dict(calls.steps)
    kernel.advance = calls.advance
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        pj.sweep(**arguments)
        seconds.append(time.perf_counter() - begin)
    with jax.enable_x64(True):
        costs = {method: calls.cost(method) for method in steps}
    ideal = sum(steps[method] * costs[method] for method in steps)
    return {
        "seconds": statistics.median(seconds),
        "seconds_with_compilation": first,
        "ideal_seconds": ideal,
        "ratio": statistics.median(seconds) / ideal,
        "steps": steps,
        "us_per_step": {method: cost * 1e6 for method, cost in costs.items()},
        "unresolved": int((dataset["end_time"] < arguments["time"]).sum()),
    }


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
