"""Time to the first result: a small sweep on the command line, without and with compiled programs.

`python -m benchmarks.first` prints JSON: median seconds of whole processes. `cold` has an empty
cache folder, `warm` that of the same command before. `import jax` includes starting Python.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

REPEATS = 3
"""Repeats of each measurement."""
COMMON = "--steps 1000 --store out/s.zarr --overwrite"
SWEEPS = {
    "toy": f"sweep --problem quadratic --a 1:100:4 --b 1:100:4 {COMMON}",
    "digits": f"sweep --problem digits --a 1:100:4 --b 1:100:4 {COMMON}",
}
"""Arguments of `phasejax` by name."""
PROCESSES = {
    "import jax": ["-c", "import jax"],
    "import jax, xarray and zarr": ["-c", "import jax, xarray, zarr"],
    "import phasejax and sweep": ["-c", "import phasejax; phasejax.sweep"],
    "phasejax --help": ["-m", "phasejax", "--help"],
}
"""Arguments of `python` by name."""


def seconds(arguments: list[str], folder: str) -> float:
    """Seconds of one process in `folder`, which also has its caches."""
    environment = os.environ | {"XDG_CACHE_HOME": f"{folder}/cache", "JAX_PLATFORMS": "cpu"}
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def measure() -> dict[str, float]:
    """Median seconds of every process, by name."""
    times: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            for name, arguments in PROCESSES.items():
                times.setdefault(name, []).append(seconds(arguments, folder))
            for name, line in SWEEPS.items():
                for cache in ("cold", "warm"):
                    took = seconds(["-m", "phasejax", *line.split()], folder)
                    times.setdefault(f"{name} {cache}", []).append(took)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    print(json.dumps(measure()))
