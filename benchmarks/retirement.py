"""Cost of diverged cells: a third of the cells overflow in the first tenth of a sweep.

Gradient descent on the digits network, with learning rates that are good or far too large, in
random order. `python -m benchmarks.retirement` measures the sweep with and without retirement of
diverged cells, in turn, and prints JSON.
"""

import functools
import json
import time

import numpy as np

from .harness import REPEATS, computing

CELLS = 512
"""Number of cells."""
STEPS = 1_024
"""Steps per cell."""
WINDOWS = 64
"""Windows per cell."""


def measure() -> dict[str, list[float]]:
    """Nanoseconds per cell-step of each repeat, with and without retirement."""
    import jax.numpy as jnp
    import optax

    import phasejax as pj

    pj.use_all_cores()
    lost = CELLS // 3
    rates = np.concatenate([np.geomspace(1e-3, 0.03, CELLS - lost), np.geomspace(1e3, 1e6, lost)])

    class Unending(pj.Optimizer):
        """An optimizer whose cells are never retired."""

        def ended(self, loss, hyper, state):
            return jnp.zeros((), bool)

    def way(kind):
        _, compute = computing(
            problem=pj.problems.digits(),
            grid=pj.Grid(learning_rate=np.random.default_rng(0).permutation(rates)),
            dynamics=kind.of(functools.partial(optax.sgd, momentum=0.0)),
            steps=STEPS,
            windows=WINDOWS,
            dtype="float64",
        )
        return compute

    ways = {"with": way(pj.Optimizer), "without": way(Unending)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(REPEATS + 1):
        for name, compute in ways.items():
            begin = time.perf_counter()
            results[name] = [envelope for _, envelope in compute()]
            times[name].append((time.perf_counter() - begin) / (CELLS * STEPS) * 1e9)
    ended = np.isinf(np.concatenate([e.loss_min[:, WINDOWS // 10] for e in results["with"]]))
    assert ended.sum() == lost
    for one, other in zip(results["with"], results["without"], strict=True):
        for values, others in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, others)
    return {way: values[1:] for way, values in times.items()}  # the first run compiles


if __name__ == "__main__":
    print(json.dumps(measure()))
