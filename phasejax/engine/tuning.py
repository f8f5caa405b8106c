"""The placement of a sweep; its block size is measured once per problem and machine.

Small blocks cost overhead, large ones exceed the processor's cache. Measured sizes are kept in
the process and in a file of the user's cache folder, so that a repeat uses the same blocks and gets
the same bits.
"""

import json
import math
import os
import time
from pathlib import Path

import jax
import numpy as np
import platformdirs

from .._files import write_atomically
from .._precision import precision
from ..dynamics.steps import TINY
from ..identity import identify
from .placement import Placement, local_mesh
from .running import Running
from .spec import Spec

MOST_ON_CPU = 512
"""Largest block on a CPU; a larger one would exceed a processor core's cache."""
MOST_ELSEWHERE = 65_536
"""Largest block on an accelerator."""
WORTH_MEASURING = 1e10
"""Least gradients × cells × parameters for measuring: about twenty seconds on two cores."""
REFINED_SHARE = 0.1
"""Share of the cells that a refinement is assumed to compute."""
LEAST_SECONDS = 0.05
"""Shortest run of a measurement."""
RUNS = 5
"""Runs of a measurement, of which the shortest counts."""
GAIN = 0.95
"""A block size is better if it costs less than this share of the best: the rest may be noise."""
_measured: dict[str, int] = {}
"""Block sizes that this process knows, by `_key`."""


def choose_placement(spec: Spec, block_size: int | None = None) -> Placement:
    """Place the cells of a sweep on this process's devices.

    `block_size`, if not given, is measured where the sweep is long enough to repay it, by running
    some of its cells; otherwise it is guessed.
    """
    if block_size is not None:
        return Placement.here(spec, block_size, "given")
    share = REFINED_SHARE if spec.refined_from else 1
    work = spec.grid.size * spec.dynamics.cost(spec.horizon).gradients * spec.size * share
    if work < WORTH_MEASURING:
        return Placement.here(spec, first_guess(spec), "guessed")
    return Placement.here(spec, _known_or_measured(spec), "measured")


def first_guess(spec: Spec) -> int:
    """Block size of a sweep that is not measured."""
    return guess(spec.size * spec.dynamics.cost(spec.horizon).numbers, _platform())


def guess(size: int, platform: str = "cpu") -> int:
    """Block size for cells of `size` numbers: about 16,384 numbers fit a core's cache.

    Measured on two cores: a network of 1,329 parameters is fastest in blocks of 16. The loop of a
    tiny problem is one kernel, which touches eight numbers per parameter and forty per cell: 2 to
    60 parameters are fastest in blocks of 256 to 32. An accelerator needs about a thousand times
    more.
    """
    if platform != "cpu":
        cells = 2**24 / size
    elif size <= TINY:
        cells = 2**14 / (8 * size + 40)
    else:
        cells = 2**14 / size
    return min(2 ** round(math.log2(max(cells, 1))), _most(platform))


def _known_or_measured(spec: Spec) -> int:
    """Look the block size up in the process, then in the file; otherwise measure it."""
    key = _key(spec)
    if key not in _measured:
        _measured.update(_read())
    if key not in _measured:
        _measured[key] = fastest(spec, first_guess(spec))
        _write(_read() | {key: _measured[key]})
    return _measured[key]


def fastest(spec: Spec, first: int) -> int:
    """Double, then halve, a block size as long as cells get cheaper."""
    best, cost = first, seconds_per_cell(spec, first)
    for factor in (2, 0.5):
        size = best
        while 1 <= (size := int(size * factor)) <= _most(_platform()):
            other = seconds_per_cell(spec, size)
            if other >= GAIN * cost:
                break
            best, cost = size, other
    return best


def seconds_per_cell(spec: Spec, block_size: int) -> float:
    """Seconds per step of one cell, with one block on every device: the best of several runs."""
    mesh = local_mesh()
    device = mesh.devices.flat[0]
    count = mesh.size * block_size
    one_block = (count, *[1] * (len(spec.grid.shape) - 1))
    kind = device.platform, device.device_kind
    placement = Placement(block_size, "given", mesh.size, *kind, tile_shape=one_block)
    alike = spec.alike(np.arange(spec.grid.size))[0]
    cells = alike[np.linspace(0, len(alike) - 1, count).astype(int)]
    edges = spec.edges.astype(spec.dtype)
    with precision(spec.dtype):
        running = Running(spec, placement, cells)
        start = running.state

        def seconds(steps: int) -> float:
            running.state = start
            begin = time.perf_counter()
            returned = running.advance(spec.dynamics.portion(edges, spec.windows, steps), 1)
            jax.block_until_ready((running.state, returned))
            return time.perf_counter() - begin

        steps = 4
        seconds(steps)  # compiles
        while (
            seconds(steps) < LEAST_SECONDS and steps < spec.dynamics.cost(spec.horizon).busy_steps
        ):
            steps *= 2
        return min(seconds(steps) for _ in range(RUNS)) / (steps * count)


def _key(spec: Spec) -> str:
    """Everything that the speed depends on."""
    program = next(iter(spec.structure.programs.values()))[0]
    shapes = [
        f"{np.shape(leaf)}"
        for leaf in jax.tree.leaves((spec.starts[spec.seeds[0]], spec.problem.objective))
        if not callable(leaf)
    ]
    settings = identify(dict(getattr(program, "settings", ())))
    probes = " ".join(f"{probe}" for probe in getattr(program, "probes", ()))
    named = spec.problem.name, spec.dynamics.name, settings, getattr(program, "method", ""), probes
    mesh = local_mesh()
    devices = f"{mesh.size} x {mesh.devices.flat[0].device_kind}"
    compiler = f"jax {jax.__version__} {os.environ.get('XLA_FLAGS', '')}".strip()
    return " ".join(map(str, (*named, spec.dtype, devices, shapes, compiler)))


def _platform() -> str:
    return local_mesh().devices.flat[0].platform


def _most(platform: str) -> int:
    return MOST_ON_CPU if platform == "cpu" else MOST_ELSEWHERE


def _path() -> Path:
    return Path(platformdirs.user_cache_dir("phasejax")) / "block_sizes.json"


def _read() -> dict[str, int]:
    """Read what other processes measured; a file that can't be read counts as empty."""
    try:
        table = json.loads(_path().read_text("utf-8"))
        most = MOST_ELSEWHERE
        return {key: n for key, n in table.items() if type(n) is int and 1 <= n <= most}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _write(table: dict[str, int]) -> None:
    """Replace the file atomically; ignore an unwritable cache folder."""
    try:
        _path().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_path(), json.dumps(table, indent=1).encode())
    except OSError:
        return
