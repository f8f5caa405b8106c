"""Large sweeps: cost of a cell-step, and peak memory.

`python -m benchmarks.scale SIDE` sweeps SIDE × SIDE toy cells and prints JSON: nanoseconds per
cell-step without labels and store, nanoseconds per cell-step of whole sweeps with labels and a
store on disk, and the peak memory of the process.
"""

import json
import resource
import sys
import tempfile
from collections.abc import Callable

from .harness import computing, nanoseconds
from .toy import LENGTH, WINDOWS, quadratic_sweep

REPEATS = 5
"""Repeats of each measurement."""


def measure(side: int) -> dict[str, list[float] | float]:
    """Nanoseconds per cell-step without and with labels and store, and peak memory in GB."""
    import phasejax as pj

    pj.use_all_cores()
    arguments = quadratic_sweep(side)
    _, compute = computing(**arguments, dtype="float64")

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            pj.sweep(dynamics=pj.adam, **arguments, store=f"{folder}/store")

    def discard() -> None:
        for _ in compute():
            pass

    def after_first(work: Callable[[], None]) -> list[float]:
        work()  # compiles
        return nanoseconds(work, side**2 * WINDOWS * LENGTH, REPEATS)

    return {
        "computing": after_first(discard),
        "sweep": after_first(whole),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
