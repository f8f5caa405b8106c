"""Functions that benchmarks share: repeats, processes, and phasejax's own computation.

A *way* is one implementation of the same work.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

REPEATS = 7
"""Repeats of each measurement."""
Result = tuple[np.ndarray, ...]
"""`loss_min`, `loss_max`, `loss_mean`, `log10_loss_mean`, each `[cells, windows]`."""
Way = Callable[..., Callable[[], Result]]
"""Prepares the work (data, compilation) and returns the function that does it."""


def computing(problem, grid, steps: int, windows: int, dtype: str, dynamics: Any = None):
    """A sweep without labels and without a store: its job, and a function that runs its tasks.

    The block size is measured first, as in a sweep that is long enough.
    """
    import jax

    import phasejax as pj
    from phasejax.dynamics import as_dynamics
    from phasejax.engine.spec import Spec
    from phasejax.engine.steps import run_steps
    from phasejax.engine.tasks import Job, tasks
    from phasejax.engine.tuning import choose_placement, fastest, first_guess

    moving = as_dynamics(dynamics or pj.adam, "step")
    spec = Spec(problem, moving, grid, steps, windows, dtype)
    spec.check()
    job = Job(spec, choose_placement(spec, fastest(spec, first_guess(spec))))

    def compute():
        with jax.enable_x64(dtype == "float64"):
            for cells in tasks(job, np.arange(grid.size)):
                yield cells, run_steps(*job, cells)

    return job, compute


def sweep_work(grid, windows: int, dtype: str, **arguments) -> Callable[[], Result]:
    """phasejax's way: returns a function that computes all cells of a sweep."""
    _, compute = computing(grid=grid, windows=windows, dtype=dtype, **arguments)

    def work() -> Result:
        results = tuple(np.empty((grid.size, windows), dtype) for _ in range(4))
        for cells, envelope in compute():
            for result, values in zip(results, envelope[:4], strict=True):
                result[cells] = values
        return results

    return work


def measure(work: Callable[[], Result], cell_steps: int) -> dict[str, list[float]]:
    """Nanoseconds per cell-step of each repeat, and medians that identify the result."""
    result = work()  # compiles
    times = nanoseconds(work, cell_steps, REPEATS)
    return {"ns": times, "print": [float(np.median(field[:, 0])) for field in result]}


def nanoseconds(work: Callable[[], object], cell_steps: int, repeats: int) -> list[float]:
    """Nanoseconds per cell-step of each repeat of work that has been compiled."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) / cell_steps * 1e9)
    return times


def in_own_process(module: str, *arguments: str) -> dict:
    """Run `python -m MODULE ARGUMENTS`, and read the JSON that it prints.

    JAX uses the CPU unless `JAX_PLATFORMS` is set.
    """
    answer = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")},
    )
    return json.loads(answer.stdout)


def medians(module: str, ways: Iterable[str], *arguments: str) -> dict[str, float]:
    """Median nanoseconds of each way, each in its own process; fails if results differ."""
    measured = {way: in_own_process(module, way, *arguments) for way in ways}
    own = measured["phasejax"]["print"]
    for way, answer in measured.items():
        np.testing.assert_allclose(
            answer["print"], own, rtol=1e-4, err_msg=f"{module} {way} {arguments}"
        )
    return {way: statistics.median(answer["ns"]) for way, answer in measured.items()}
