"""The toy benchmark: Adam on a quadratic in two dimensions, with the statistics of an envelope.

Every way does the same work: 16,384 cells, 2,000 steps, minimum, maximum, mean and mean of log10
of the loss in each of 20 windows. `python -m benchmarks.toy WAY DTYPE` runs one way once
for each line of its input, and prints nanoseconds per cell-step.
"""

import ctypes
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .harness import Result, Way, serve_work, sweep_work

CELLS = 16_384
"""Number of cells."""
WINDOWS = 20
"""Windows per cell."""
LENGTH = 100
"""Steps per window."""
LEARNING_RATE = 1e-3
"""η of all cells."""
EPS = 1e-8
"""ε of all cells, outside the root."""
SPECTRUM = (1.0, 0.1)
"""Eigenvalues of the quadratic."""
START = (1.0, 1.0)
"""Starting point."""
# Values of a and b in every cell, `[cells]`.
A, B = (axis.ravel() for axis in np.meshgrid(*[np.geomspace(0.3, 300, 128)] * 2, indexing="ij"))


def quadratic_sweep(side: int) -> dict:
    """Arguments of a sweep over `side` × `side` cells."""
    import phasejax as pj

    axis = pj.log_axis(0.3, 300, side)
    return {
        "problem": pj.problems.quadratic(SPECTRUM, START),
        "grid": pj.Grid(a=axis, b=axis, learning_rate=LEARNING_RATE, eps=EPS),
        "steps": WINDOWS * LENGTH,
        "windows": WINDOWS,
    }


def phasejax(dtype: str) -> Callable[[], Result]:
    """The computation of a sweep, without labels and store."""
    import phasejax as pj

    pj.use_all_cores()
    return sweep_work(**quadratic_sweep(128), dtype=dtype)


def naive_optax(dtype: str) -> Callable[[], Result]:
    """A simple program: `vmap` over `optax.adam`, all cells at once."""
    import jax
    import jax.numpy as jnp
    import optax

    jax.config.update("jax_enable_x64", dtype == "float64")
    spectrum = jnp.array(SPECTRUM, dtype)

    def loss_of(x):
        return 0.5 * jnp.sum(spectrum * x**2)

    def cell(a, b):
        optimizer = optax.adam(
            LEARNING_RATE, b1=1 - b * LEARNING_RATE, b2=1 - a * LEARNING_RATE, eps=EPS
        )
        x = jnp.array(START, dtype)

        def step(carry, _):
            x, state, low, high, mean, log = carry
            loss, grad = jax.value_and_grad(loss_of)(x)
            updates, state = optimizer.update(grad, state)
            low, high = jnp.minimum(low, loss), jnp.maximum(high, loss)
            mean, log = mean + loss / LENGTH, log + jnp.log10(loss) / LENGTH
            return (optax.apply_updates(x, updates), state, low, high, mean, log), None

        def window(carry, _):
            zero = jnp.zeros((), dtype)
            carry = (*carry, zero + jnp.inf, zero - jnp.inf, zero, zero)
            (x, state, *statistics), _ = jax.lax.scan(step, carry, length=LENGTH)
            return (x, state), tuple(statistics)

        return jax.lax.scan(window, (x, optimizer.init(x)), length=WINDOWS)[1]

    sweep = jax.jit(jax.vmap(cell))
    return lambda: jax.device_get(sweep(jnp.asarray(A, dtype), jnp.asarray(B, dtype)))


def numba(dtype: str) -> Callable[[], Result]:
    """A loop over cells in compiled Python, on all threads."""
    numba = importlib.import_module("numba")  # optional, so the type checker cannot import it
    real = np.dtype(dtype).type

    @numba.njit(parallel=True, fastmath=True)
    def sweep(a_eta, b_eta, eta, eps, spectrum, start, low, high, mean, log):
        one, half = real(1), real(0.5)
        for cell in numba.prange(a_eta.size):
            a, b = a_eta[cell], b_eta[cell]
            x0, x1 = start[0], start[1]
            m0 = m1 = v0 = v1 = m_weight = v_weight = real(0)
            for window in range(low.shape[1]):
                smallest, largest, total, logs = real(np.inf), real(0), real(0), real(0)
                for _ in range(LENGTH):
                    g0, g1 = spectrum[0] * x0, spectrum[1] * x1
                    loss = half * (g0 * x0 + g1 * x1)
                    m_weight += b * (one - m_weight)
                    v_weight += a * (one - v_weight)
                    m0 += b * (g0 - m0)
                    m1 += b * (g1 - m1)
                    v0 += a * (g0 * g0 - v0)
                    v1 += a * (g1 * g1 - v1)
                    scale = one / v_weight
                    x0 -= eta / m_weight * m0 / (np.sqrt(v0 * scale) + eps)
                    x1 -= eta / m_weight * m1 / (np.sqrt(v1 * scale) + eps)
                    smallest, largest = min(smallest, loss), max(largest, loss)
                    total += loss
                    logs += np.log10(loss)
                low[cell, window], high[cell, window] = smallest, largest
                mean[cell, window], log[cell, window] = total / LENGTH, logs / LENGTH

    results = tuple(np.empty((CELLS, WINDOWS), dtype) for _ in range(4))
    decays = [(values * LEARNING_RATE).astype(dtype) for values in (A, B)]
    numbers = real(LEARNING_RATE), real(EPS), np.array(SPECTRUM, dtype), np.array(START, dtype)

    def work() -> Result:
        sweep(*decays, *numbers, *results)
        return results

    return work


def c(dtype: str) -> Callable[[], Result]:
    """The limit: C with SIMD and OpenMP, written by hand for this problem."""
    wide = dtype == "float64"
    macros = {"BLOCK": 32 if wide else 64, "REAL": "double" if wide else "float"}
    macros |= {"INTEGER": "int64_t" if wide else "int32_t"}
    macros |= {"MANTISSA": 52 if wide else 23, "BIAS": 1023 if wide else 127}
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder) / "toy.so")
        flags = "-O3 -march=native -mprefer-vector-width=512 -ffast-math -fopenmp -shared -fPIC"
        source = str(Path(__file__).with_name("toy.c"))
        defined = [f"-D{name}={value}" for name, value in macros.items()]
        compiler = os.environ.get("CC", "cc")
        subprocess.run(
            [compiler, *flags.split(), *defined, source, "-lm", "-o", library], check=True
        )
        run = ctypes.CDLL(library).run
    number = ctypes.c_double if wide else ctypes.c_float
    results = tuple(np.empty((CELLS, WINDOWS), dtype) for _ in range(4))
    decays = [(values * LEARNING_RATE).astype(dtype) for values in (A, B)]
    problem = [np.array(values, dtype) for values in (SPECTRUM, START)]

    def pointers(arrays):
        return [ctypes.c_void_p(array.ctypes.data) for array in arrays]

    def work() -> Result:
        sizes = [ctypes.c_int64(size) for size in (CELLS, WINDOWS, LENGTH)]
        constants = number(LEARNING_RATE), number(EPS)
        run(*sizes, *pointers(decays), *constants, *pointers(problem), *pointers(results))
        return results

    return work


WAYS: dict[str, Way] = {
    "phasejax": phasejax,
    "limit": c,
    "numba": numba,
    "vmap(optax.adam)": naive_optax,
}
"""Ways by the names in the table."""


if __name__ == "__main__":
    way, dtype = sys.argv[1:]
    serve_work(WAYS[way](dtype), CELLS * WINDOWS * LENGTH)
