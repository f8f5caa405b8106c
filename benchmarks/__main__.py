"""`make bench`: run all benchmarks, print tables, write `out/bench.json`.

`python -m benchmarks KEY...` runs only the benchmarks with these keys, and keeps other results.
"""

import json
import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from . import network, toy
from .harness import REPEATS, Turns, in_own_process, take_turns

OUTPUT = Path("out/bench.json")
"""File of the results."""
DTYPES = {"f64": "float64", "f32": "float32"}
"""Dtypes by the last part of a key."""


def toy_table(dtype: str) -> dict:
    """Adam on a quadratic in two dimensions, compared with C, numba and simple JAX."""
    turns = take_turns("benchmarks.toy", toy.WAYS, dtype)
    return show(turns, "C with SIMD and OpenMP: the limit")


def network_table(net: str, dtype: str) -> dict:
    """Adam on a network and digits, compared with PyTorch and the machine's matrix product."""
    turns = take_turns("benchmarks.network", (*network.WAYS, "limit", "gradient"), net, dtype)
    gradient = turns.pop("gradient")
    result = show(turns, "its matrix products at gemm speed: the limit")
    share = 1 / result["over_limit"]["median"]
    usual = share * network.NETS[net].usual_flops / network.NETS[net].flops
    result |= {"gemm_share": share, "gemm_share_6np": usual}
    print(f"  {share:.0%} of the gemm rate; {usual:.0%} if a step counts as 6 x weights x samples")
    result |= {"gradient": gradient.over(turns["phasejax"])}
    result |= {"gradient_gemm_share": turns["limit"].over(gradient)["median"]}
    print(
        f"  {result['gradient']['median']:.0%} of a step is the gradient, at "
        f"{result['gradient_gemm_share']:.0%} of the gemm rate; the rest is Adam"
    )
    return result


def show(turns: dict[str, Turns], limit: str) -> dict:
    """Print a table of nanoseconds per cell-step, and return it.

    Ratios are those within one turn: their median, and in brackets the least and the largest.
    """
    own, ideal = turns["phasejax"], turns["limit"]
    peers = {way: t for way, t in turns.items() if way not in ("phasejax", "limit")}
    print(f"  {'phasejax':45} {own.median:12.2f} ns per cell-step")
    for name, other in {limit: ideal, **peers}.items():
        ratio = other.over(own)
        print(
            f"  {name:45} {other.median:12.2f} ns per cell-step {ratio['median']:8.2f} x phasejax "
            f"({ratio['low']:.2f} to {ratio['high']:.2f})"
        )
    result = {
        "phasejax_ns": own.median,
        "limit_ns": ideal.median,
        "peers": {way: t.median for way, t in peers.items()},
        "over_limit": own.over(ideal),
        "peers_over_phasejax": {way: t.over(own) for way, t in peers.items()},
    }
    print(f"  phasejax takes {result['over_limit']['median']:.2f} x the limit")
    return result


def ahead(results: dict) -> list[str]:
    """Peers that were faster than phasejax in every turn, with their benchmark."""
    return [
        f"{way} in {key}"
        for key, result in results.items()
        if isinstance(result, dict)
        for way, ratio in result.get("peers_over_phasejax", {}).items()
        if ratio["high"] < 1
    ]


def scale() -> dict:
    """A million toy cells compared with sixteen thousand."""
    result = {}
    for side in (128, 1024):
        measured = in_own_process("benchmarks.scale", str(side))
        result[str(side**2)] = {
            "ns": statistics.median(measured["computing"]),
            "sweep_ns": statistics.median(measured["sweep"]),
            "peak_gb": measured["peak_gb"],
        }
        row = result[str(side**2)]
        print(
            f"  {side**2:9,} cells {row['ns']:6.2f} ns per cell-step, {row['sweep_ns']:6.2f} with "
            f"labels and a store; peak memory {row['peak_gb']:.2f} GB"
        )
    small, large = result.values()
    result["ratio"] = large["ns"] / small["ns"]
    print(f"  ratio {result['ratio']:.2f}")
    return result


def retirement() -> dict:
    """A third of the cells diverge in the first tenth of the run, with and without retirement."""
    measured = in_own_process("benchmarks.retirement")
    result = {f"{way}_ns": statistics.median(ns) for way, ns in measured.items()}
    result["ratio"] = result["with_ns"] / result["without_ns"]
    print(f"  with {result['with_ns']:.0f}, without {result['without_ns']:.0f} ns per cell-step")
    print(f"  ratio {result['ratio']:.2f}")
    return result


def flows() -> dict:
    """Adam's flow on a quadratic, 32 x 32 cells: the whole sweep compared with its steps alone."""
    result = {solver: in_own_process("benchmarks.flows", solver) for solver in ("auto", "tsit5")}
    for solver, row in result.items():
        costs = ", ".join(
            f"{row['steps'][method]:,} {method} of {us:.2f} us"
            for method, us in row["us_per_step"].items()
        )
        print(
            f"  {solver:6} {row['seconds']:.2f} s, {row['ratio']:.2f} x its steps alone: {costs}; "
            f"{row['seconds_with_compilation']:.1f} s with compilation; "
            f"{row['unresolved']} unresolved"
        )
    return result


def probes() -> dict:
    """Cost of probes on the digits network, in times the sweep without."""
    return over_without("benchmarks.probes")


def following() -> dict:
    """Cost of a step of RMSprop's flows on a tanh network, in times RMSprop's own."""
    return over_without("benchmarks.following")


def over_without(module: str) -> dict:
    """Print the ratios of the ways of a module to its way "without", and return them."""
    turns = {way: Turns(ns) for way, ns in in_own_process(module).items()}
    without = turns.pop("without")
    result = {way: t.over(without) for way, t in turns.items()}
    for way, ratio in result.items():
        print(f"  {way:21} {ratio['median']:.2f} x ({ratio['low']:.2f} to {ratio['high']:.2f})")
    return result


def first() -> dict:
    """Time to the first result of small sweeps on the command line, and of imports."""
    result = in_own_process("benchmarks.first")
    for name, seconds in result.items():
        print(f"  {name:45} {seconds:12.2f} s")
    return result


def accelerator() -> dict:
    """What a step costs an accelerator, estimated from the program: not measured."""
    result = in_own_process("benchmarks.accelerator")
    for name, row in result.items():
        print(
            f"  {name:10} {row['kernels']:4} kernels per step, {row['bytes']:9,.0f} bytes per cell"
        )
    return result


def cluster() -> dict:
    """Time per tile in this process, and with Dask's workers on this machine."""
    result = in_own_process("benchmarks.cluster")
    for name, row in result.items():
        print(
            f"  {name:10} {row['tile'] * 1e3:6.0f} ms per tile, {row['start']:.1f} s to start, "
            f"{row['thousand_cells'] * 1e3:6.1f} ms per thousand cells"
            + (f", {row['peak_gb']:.2f} GB per worker" if "peak_gb" in row else "")
        )
    result["overhead_ms"] = 1e3 * (result["one worker"]["tile"] - result["here"]["tile"])
    cells = "thousand_cells"
    result["speedup"] = result["one core"][cells] / result["two cores"][cells]
    print(f"  {result['overhead_ms']:.0f} ms per tile more than here on the same cores")
    print(f"  two workers of one core each are {result['speedup']:.2f} x as fast as one")
    return result


def refinement() -> dict:
    """257 x 257 refined cells compared with the dense diagram: equal labels, computed cells."""
    result = in_own_process("benchmarks.refinement")
    for name, row in result.items():
        print(
            f"  {name:34} {row['equal']:.2%} equal, {row['computed']:.1%} computed, "
            f"{row['rounds']} rounds"
        )
    return result


KEYS: dict[str, Callable[[], dict]] = {
    **{f"toy_{key}": lambda dtype=dtype: toy_table(dtype) for key, dtype in DTYPES.items()},
    **{
        f"{net}_{key}": lambda net=net, dtype=dtype: network_table(net, dtype)
        for net in network.NETS
        for key, dtype in DTYPES.items()
    },
    "scale": scale,
    "retirement": retirement,
    "flows": flows,
    "probes": probes,
    "following": following,
    "first": first,
    "accelerator": accelerator,
    "cluster": cluster,
    "refinement": refinement,
}
"""Benchmarks by key. Every benchmark prints a table and returns the results for the file."""


def main(keys: list[str]) -> int:
    """Run the benchmarks, print tables, write the results; returns 1 if a peer is ahead."""
    import jax

    if unknown := [key for key in keys if key not in KEYS]:
        print(f"unknown: {', '.join(unknown)}; known are {', '.join(KEYS)}", file=sys.stderr)
        return 2
    device = jax.devices()[0]
    machine = f"{len(jax.devices())} x {device.platform} {device.device_kind}, {platform.machine()}"
    results: dict = {"machine": machine, "jax": jax.__version__, "repeats": REPEATS}
    for key in keys or KEYS:
        print(f"\n{key}: {KEYS[key].__doc__ or ''}".rstrip(": "))
        results[key] = KEYS[key]()
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    others = json.loads(OUTPUT.read_text()) if keys and OUTPUT.exists() else {}
    OUTPUT.write_text(json.dumps(others | results, indent=2) + "\n")
    faster = ahead(results)
    print(f"\nahead of phasejax: {', '.join(faster) or 'no peer'}")
    print(f"wrote {OUTPUT}")
    return 1 if faster else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
