"""Functions that benchmarks share: turns, processes, and phasejax's own computation.

A *way* is one implementation of the same work. Each runs in a process of its own, and all take
turns, so that a slow minute of the machine slows all of them.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

REPEATS = 7
"""Repeats of each measurement."""
PAUSE = 0.5
"""Seconds before each turn: threads of the way before may still wait for work at full speed."""
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
    from phasejax.engine.placement import Placement
    from phasejax.engine.spec import Spec
    from phasejax.engine.steps import run_steps
    from phasejax.engine.tasks import Job, tasks
    from phasejax.engine.tuning import fastest, first_guess

    moving = as_dynamics(dynamics or pj.adam, "step")
    spec = Spec(problem, moving, grid, steps, windows, dtype)
    spec.check()
    job = Job(spec, Placement.here(spec, fastest(spec, first_guess(spec)), "measured"))

    def compute():
        with jax.enable_x64(dtype == "float64"):
            for cells in tasks(job, np.arange(grid.size)):
                yield cells, run_steps(*job, cells).envelope

    return job, compute


def sweep_work(grid, windows: int, dtype: str, **arguments) -> Callable[[], Result]:
    """phasejax's way: returns a function that computes all cells of a sweep."""
    from phasejax.grid import rows

    _, compute = computing(grid=grid, windows=windows, dtype=dtype, **arguments)
    results = tuple(np.empty((grid.size, windows), dtype) for _ in range(4))

    def work() -> Result:
        for cells, envelope in compute():
            for result, values in zip(results, envelope[:4], strict=True):
                result[rows(cells)] = values
        return results

    return work


def turns_of(specs: Mapping[str, Any], block_size: int) -> dict[str, list[float]]:
    """Nanoseconds per cell-step of each turn of specifications of sweeps, in this process.

    All cells of a specification are one task.
    """
    import jax

    from phasejax.engine.steps import run_steps
    from phasejax.engine.tuning import choose_placement

    placements = {}
    for way, spec in specs.items():
        spec.check()
        placements[way] = choose_placement(spec, block_size)
    times: dict[str, list[float]] = {way: [] for way in specs}
    for _ in range(REPEATS + 1):
        for way, spec in specs.items():
            time.sleep(PAUSE)
            cells = np.arange(spec.grid.size)
            begin = time.perf_counter()
            with jax.enable_x64(spec.dtype == "float64"):
                run_steps(spec, placements[way], cells)
            times[way].append((time.perf_counter() - begin) / (cells.size * spec.horizon) * 1e9)
    return {way: values[1:] for way, values in times.items()}  # the first turn compiles


def serve(once: Callable[[], float], result: Iterable[float] = ()) -> None:
    """Print what identifies the result, then one measurement for each line of standard input."""
    print(json.dumps(list(result)), flush=True)
    for _ in sys.stdin:
        print(once(), flush=True)


def serve_work(work: Callable[[], Result], cell_steps: int) -> None:
    """Serve the nanoseconds per cell-step of work, and medians of its result."""
    result = work()  # compiles
    prints = (float(np.median(field[:, 0])) for field in result)
    serve(lambda: nanoseconds(work, cell_steps, 1)[0], prints)


def nanoseconds(work: Callable[[], object], cell_steps: int, repeats: int) -> list[float]:
    """Nanoseconds per cell-step of each repeat of work that has been compiled."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) / cell_steps * 1e9)
    return times


def in_own_process(module: str, *arguments: str) -> dict:
    """Run `python -m MODULE ARGUMENTS`, and read the JSON that it prints."""
    return json.loads(subprocess.check_output(_command(module, *arguments), env=_on_cpu()))


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _on_cpu() -> dict[str, str]:
    """Environment in which JAX uses the CPU, unless `JAX_PLATFORMS` is set."""
    return os.environ | {"JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")}


class Turns(NamedTuple):
    """Nanoseconds per cell-step of one way, one per turn."""

    ns: list[float]

    @property
    def median(self) -> float:
        """Median of all turns."""
        return statistics.median(self.ns)

    def over(self, other: "Turns") -> dict[str, float]:
        """Time over that of another way in the same turn: median, least and largest."""
        ratios = [a / b for a, b in zip(self.ns, other.ns, strict=True)]
        return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


class Contender:
    """A way in a process of its own, which does the work whenever it is asked to.

    `python -m MODULE WAY ARGUMENTS` calls `serve`. `result` identifies what it computed.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        pipe = subprocess.PIPE
        self._command = _command(module, *arguments)
        self._process = subprocess.Popen(
            self._command, stdin=pipe, stdout=pipe, text=True, env=_on_cpu()
        )
        self.result: list[float] = self._answer()

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # closes its input, by which it ends

    def turn(self) -> float:
        """Let it do the work once; returns nanoseconds per cell-step."""
        assert self._process.stdin
        time.sleep(PAUSE)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self._command)} has failed")
        return json.loads(line)


def take_turns(module: str, ways: Iterable[str], *arguments: str) -> dict[str, Turns]:
    """Let ways take turns; fails if one has another result than phasejax."""
    with contextlib.ExitStack() as stack:
        started = {w: stack.enter_context(Contender(module, w, *arguments)) for w in ways}
        own = started["phasejax"].result
        for way, contender in started.items():
            expected = own if contender.result else []
            text = f"{module} {way} {arguments}"
            np.testing.assert_allclose(contender.result, expected, rtol=1e-4, err_msg=text)
        rounds = [{way: c.turn() for way, c in started.items()} for _ in range(REPEATS)]
    return {way: Turns([one[way] for one in rounds]) for way in started}
