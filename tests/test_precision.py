"""Sweeps run in float64 even if the loss was compiled in float32 or promotion is strict."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import phasejax as pj

GRID = pj.Grid(a=[1.0, 30.0], b=[1.0, 10.0])
SHORT: dict[str, Any] = {"steps": 64, "windows": 8}


def losses(rng):
    """Losses over NumPy data, each with its own data: by index, in products, converted."""
    data, labels = rng.random((5, 3)), np.array([0, 2, 1, 1, 0])

    def indexed(x):
        return jnp.sum((x[labels] - data[np.arange(5), labels]) ** 2)

    def multiplied(x):
        return jnp.mean((data @ x - 1 / 3) ** 2) + jnp.sum(data[0] * x) ** 2

    def converted(x):
        return jnp.mean((jnp.asarray(data) @ x - 1 / 3) ** 2)

    return {"indexed": indexed, "multiplied": multiplied, "converted": converted}


@pytest.mark.parametrize("name", ["indexed", "multiplied", "converted"])
@pytest.mark.parametrize("how", ["jit", "eager jit inside", "grad"])
def test_a_loss_that_was_compiled_in_float32_is_swept_in_float64(name, how):
    """JAX caches converted NumPy arrays, and would reuse the float32 ones."""

    def run(before):
        loss = losses(np.random.default_rng(0))[name]
        jitted = jax.jit(loss)
        before(jitted, jnp.ones(3, jnp.float32))
        if how == "eager jit inside":
            jitted = loss
        return pj.sweep(pj.Problem(jitted, lambda key: jnp.ones(3)), pj.adam, GRID, **SHORT), jitted

    use = jax.grad if how == "grad" else lambda loss: loss
    fresh, _ = run(lambda loss, x: None)
    dataset, jitted = run(lambda loss, x: use(loss)(x))
    np.testing.assert_array_equal(dataset.loss_min, fresh.loss_min)
    assert float(dataset.initial_loss) == float(fresh.initial_loss)
    assert jitted(jnp.ones(3, jnp.float32)).dtype == jnp.float32  # the user's own code still works


@pytest.mark.parametrize("problem", ["digits", "batches", "flow"])
def test_strict_promotion_of_dtypes_is_left_to_the_user(problem):
    batch_size = 4 if problem == "batches" else None
    small = pj.problems.digits(samples=8, hidden=(2,), batch_size=batch_size)
    dynamics, length = pj.adam, SHORT
    if problem == "flow":
        start = {"w": np.ones(2), "c": np.ones(())}
        small = pj.Problem(
            lambda p: jnp.sum(p["w"] ** 2) + 3 * p["c"] ** 2,
            lambda key: jax.tree.map(jnp.asarray, start),
        )
        dynamics, length = pj.adam_flow, {"time": 0.1, "windows": 8}
    expected = pj.sweep(small, dynamics, GRID, **length)
    with jax.numpy_dtype_promotion("strict"):
        found = pj.sweep(small, dynamics, GRID, **length)
        pj.trajectory(pj.problems.quadratic(), pj.adam, steps=[1, 2], a=1.0, b=1.0)
    np.testing.assert_array_equal(found.loss_min, expected.loss_min)
