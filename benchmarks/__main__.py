"""`make bench`: measure everything in one run, print a table, write `out/bench.json`."""

import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from .toy import CELLS, LENGTH, WAYS, WINDOWS

OUTPUT = Path("out/bench.json")


def toy(dtype: str) -> dict:
    """Medians of the toy benchmark, each way in its own process; refuses unequal work."""
    medians, prints = {}, {}
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks.toy", way, dtype]
        environment = os.environ | {"JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")}
        answer = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=environment
        ).stdout
        measured = json.loads(answer)
        medians[way], prints[way] = statistics.median(measured["ns"]), measured["print"]
    for way, values in prints.items():
        np.testing.assert_allclose(values, prints["limit"], rtol=1e-4, err_msg=f"{way} {dtype}")
    own, limit = medians.pop("phasejax"), medians.pop("limit")
    return {"phasejax_ns": own, "limit_ns": limit, "peers": medians}


def main() -> None:
    """Measure, print, write."""
    results: dict = {"machine": f"{os.cpu_count()} cores, {platform.processor() or 'unknown'}"}
    print(f"toy: Adam on a 2-D quadratic, {CELLS:,} cells x {WINDOWS * LENGTH:,} steps, medians")
    for key, dtype in (("toy_f64", "float64"), ("toy_f32", "float32")):
        results[key] = toy(dtype)
        own, limit, peers = results[key].values()
        rows = {"phasejax": own, "C, SIMD and OpenMP (the limit)": limit} | peers
        print(f"\n{key}")
        for name, ns in rows.items():
            print(f"  {name:32} {ns:8.2f} ns per cell-step  {ns / limit:6.2f} x the limit")
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwrote {OUTPUT}")


if __name__ == "__main__":
    main()
