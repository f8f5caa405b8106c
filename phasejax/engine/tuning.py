"""How many cells a device advances at once: measured once for a problem and a machine.

Too few lanes waste a processor on overhead, too many leave its cache. What was measured is
remembered in the process and in a file of the user's cache folder, so that a repeat runs with the
same lanes and gets the same bits.
"""

import json
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np
import platformdirs

from .._precision import precision
from ..identity import identify
from . import kernel
from .placement import start_cells

if TYPE_CHECKING:
    from .spec import Run

MOST = {"cpu": 512}
"""Most lanes by platform; more would leave a processor core's cache."""
MOST_ELSEWHERE = 65_536
WORTH_MEASURING = 1e10
"""Gradients × cells × parameters of a sweep of some twenty seconds on two cores."""
LEAST_SECONDS, RUNS, GAIN = 0.05, 5, 0.95
"""A measurement takes the shortest of five runs of at least 50 ms, and other lanes must save a
twentieth: less may be noise."""
_remembered: dict[str, int] = {}


def choose(run: "Run") -> tuple[int, str]:
    """Lanes for a sweep, and where they come from: "measured" or "guessed"."""
    if run.work < WORTH_MEASURING:
        return guess(run.footprint, _platform(run)), "guessed"
    key = _key(run)
    if key not in _remembered:
        _remembered.update(_read())
    if key not in _remembered:
        _remembered[key] = fastest(run)
        _write(_read() | {key: _remembered[key]})
    return _remembered[key], "measured"


def guess(size: int, platform: str = "cpu") -> int:
    """Lanes for cells of `size` numbers: about 16,384 stay near a processor core.

    Measured on two cores: a network of 1,329 parameters is fastest with 16 cells at once. An
    accelerator wants about a thousand times more.
    """
    room = 2**14 if platform == "cpu" else 2**24
    return min(2 ** round(math.log2(max(room / size, 1))), MOST.get(platform, MOST_ELSEWHERE))


def fastest(run: "Run") -> int:
    """Double or halve the guess as long as cells get cheaper by it."""
    most = MOST.get(_platform(run), MOST_ELSEWHERE)
    best = guess(run.footprint, _platform(run))
    cost = seconds_per_cell(run, best)
    for factor in (2, 0.5):
        lanes = best
        while 1 <= (lanes := int(lanes * factor)) <= most:
            other = seconds_per_cell(run, lanes)
            if other >= GAIN * cost:
                break
            best, cost = lanes, other
    return best


def seconds_per_cell(run: "Run", lanes: int) -> float:
    """Time of one step of one cell, all devices at work: the shortest of several runs."""
    alike = run.alike(np.arange(run.grid.size))[0]
    cells = alike[np.linspace(0, len(alike) - 1, run.mesh.size * lanes).astype(int)]
    program, values = run.programs(cells)[0], run.grid.cells(cells)
    steps = 4
    with precision(run.dtype):
        fixed, hyper, state = start_cells(run, program, values, np.arange(len(cells)))

        def seconds() -> float:
            begin = time.perf_counter()
            result = kernel.advance(
                run.mesh,
                program,
                run.problem.objective,
                fixed,
                hyper,
                state,
                run.portion(steps),
                lanes,
                np.asarray(1, np.int32),
            )
            jax.block_until_ready(result)
            return time.perf_counter() - begin

        seconds()  # compiles
        while seconds() < LEAST_SECONDS and steps < run.most_alike:
            steps *= 2
        return min(seconds() for _ in range(RUNS)) / (steps * len(cells))


def _key(run: "Run") -> str:
    """Everything that the speed depends on."""
    program = next(iter(run.structure.programs.values()))[0]
    shapes = [
        f"{np.shape(leaf)}"
        for leaf in jax.tree.leaves((run.starts[run.seeds[0]], run.problem.objective))
        if not callable(leaf)
    ]
    method, settings = getattr(program, "method", ""), identify(dict(program.settings))
    named = run.problem.name, program.name, settings, method
    devices = f"{run.mesh.size} x {run.mesh.devices.flat[0].device_kind}"
    parts = (*named, run.dtype, devices, shapes)
    return " ".join(map(str, (*parts, f"jax {jax.__version__}")))


def _platform(run: "Run") -> str:
    return run.mesh.devices.flat[0].platform


def _path() -> Path:
    return Path(platformdirs.user_cache_dir("phasejax")) / "lanes.json"


def _read() -> dict[str, int]:
    """Read what other processes measured; a file that can't be read counts as empty."""
    try:
        table = json.loads(_path().read_text("utf-8"))
        most = max(MOST_ELSEWHERE, *MOST.values())
        return {key: n for key, n in table.items() if type(n) is int and 1 <= n <= most}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _write(table: dict[str, int]) -> None:
    """Replace the file at one stroke; a folder that can't be written only costs the memory."""
    try:
        _path().parent.mkdir(parents=True, exist_ok=True)
        partial = _path().with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(table, indent=1), encoding="utf-8")
        partial.replace(_path())
    except OSError:
        return
