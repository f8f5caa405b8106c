"""A million cells: what a cell-step costs, and how much memory the process takes.

`python -m benchmarks.scale SIDE` sweeps SIDE × SIDE toy cells in a process of its own and prints
JSON: nanoseconds per cell-step of the computing alone, of whole sweeps with labels and a store on
disk, and the most memory that the process ever held.
"""

import json
import resource
import sys
import tempfile
from collections.abc import Callable

from .harness import computing, nanoseconds
from .toy import LENGTH, WINDOWS, quadratic_sweep

REPEATS = 5


def measure(side: int) -> dict[str, list[float] | float]:
    """Computing alone, whole sweeps, and peak memory in GB."""
    import phasejax as pj

    pj.use_all_cores()
    arguments = quadratic_sweep(side)
    job, compute = computing(**arguments, dtype="float64")

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            pj.sweep(
                dynamics=pj.adam,
                **arguments,
                store=f"{folder}/store",
                block_size=job.placement.block_size,
            )

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
