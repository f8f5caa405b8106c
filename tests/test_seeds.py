"""Many seeds, and mini-batches: probabilities of regimes, and the noise of the gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

import phasejax as pj
from phasejax.envelope import of_curve
from phasejax.problems.problem import draw, initial_params, start_noise
from phasejax.regimes import NAMES


def labelled(codes):
    """A dataset with the regimes `[seed, a, b]`."""
    codes = np.asarray(codes, np.int8)
    coords = {"seed": range(codes.shape[0]), "a": range(codes.shape[1]), "b": range(codes.shape[2])}
    return xr.Dataset({"regime": (("seed", "a", "b"), codes)}, coords)


def test_probabilities_are_shares_and_entropy_is_in_bits():
    found = pj.regime_probabilities(
        labelled([[[0, 0, 0, -1]], [[0, 1, 1, -1]], [[0, 0, 2, -1]], [[0, 1, 3, 5]]])
    )
    assert list(found.label.values) == list(NAMES)
    np.testing.assert_allclose(found.probability.sel(label="spike"), [[1, 0.5, 0.25, np.nan]])
    np.testing.assert_allclose(found.entropy, [[0, 1, 2, np.nan]])
    np.testing.assert_array_equal(found.runs, [[4, 4, 4, 0]])
    sums = found.probability.sum("label")
    np.testing.assert_allclose(sums[0, :3], 1)


def test_probabilities_are_those_of_a_sweep_over_seeds():
    axis = pj.log_axis(1, 100, 3)
    dataset = pj.sweep(
        pj.problems.digits(samples=16, hidden=(4,)),
        pj.adam,
        pj.Grid(a=axis, b=axis, seed=[0, 1, 2]),
        steps=640,
        windows=64,
    )
    found = pj.regime_probabilities(dataset)
    by_hand = np.mean(dataset.regime.sel(a=1, b=100).values == NAMES.index("descending"))
    assert float(found.probability.sel(label="descending", a=1, b=100)) == by_hand
    with pytest.raises(ValueError, match="over = 'seeds': unknown; did you mean 'seed'"):
        pj.regime_probabilities(dataset, "seeds")


def by_hand(problem, optimizer, steps, seed, batch_size):
    """Plain mini-batch training of a network; returns the loss on all data before each step."""
    with jax.enable_x64(True):
        inputs, targets = (jnp.asarray(data) for data in problem.loss.args)
        params = jax.tree.map(jnp.asarray, initial_params(problem, seed))
        state, key, losses = (
            optimizer.init(params),
            jax.tree.map(jnp.asarray, start_noise(seed)),
            [],
        )

        def forward(layers, x):
            for weights, bias in layers[:-1]:
                x = jax.nn.relu(weights @ x + bias[:, None])
            return (layers[-1][0] @ x + layers[-1][1][:, None])[0]

        @jax.jit
        def step(params, state, key):
            key, now = draw(key)
            chosen = jax.random.randint(now, (batch_size,), 0, len(targets))

            def loss(layers):
                return jnp.mean((forward(layers, inputs[:, chosen]) - targets[chosen]) ** 2)

            grad = jax.grad(loss)(params)
            before = jnp.mean((forward(params, inputs) - targets) ** 2)
            updates, state = optimizer.update(grad, state, params)
            return optax.apply_updates(params, updates), state, key, before

        for _ in range(steps):
            params, state, key, before = step(params, state, key)
            losses.append(float(before))
    return np.array(losses)


def test_mini_batches_agree_with_a_plain_training_loop():
    problem = pj.problems.digits(samples=16, hidden=(4,), batch_size=3)
    grid = pj.Grid(a=[1.0, 10.0], b=10.0, seed=[2, 7])
    dataset = pj.sweep(problem, pj.adam, grid, steps=640, windows=64)
    for seed in (2, 7):
        losses = by_hand(problem, pj.adam(10.0, 10.0), 640, seed, 3)
        expected = of_curve(losses, 64)
        cell = dataset.sel(a=10.0, seed=seed)
        np.testing.assert_allclose(cell.loss_mean, expected.loss_mean, rtol=1e-6)
        np.testing.assert_allclose(cell.loss_max, expected.loss_max, rtol=1e-6)
        path = pj.trajectory(problem, pj.adam, steps=[0, 639], seed=seed, a=10.0, b=10.0)
        with jax.enable_x64(True):
            last = problem.loss(jax.tree.map(lambda x: jnp.asarray(x[1]), path))
        assert float(last) == pytest.approx(losses[-1], rel=1e-6)


def test_the_gradient_of_a_batch_is_unbiased():
    problem = pj.problems.digits(samples=16, hidden=(4,), batch_size=4)
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, initial_params(problem, 0))
        keys = jax.random.split(jax.random.key(0), 20_000)
        loss: Any = problem.batch_loss
        draws = jax.vmap(lambda key: loss(params, key))(keys)
        error = float(jnp.std(draws)) / np.sqrt(len(keys))
        assert abs(float(jnp.mean(draws)) - float(problem.loss(params))) < 4 * error
        assert error > 0


def test_the_default_has_no_noise_and_the_batch_size_is_recorded():
    small = {"samples": 16, "hidden": (4,)}
    plain, noisy = pj.problems.digits(**small), pj.problems.digits(**small, batch_size=4)
    assert plain.batch_loss is None
    assert "batch_size" not in plain.config
    assert noisy.config["batch_size"] == 4
    with pytest.raises(ValueError, match="batch_size = 0: must be an integer, at least 1"):
        pj.problems.digits(**small, batch_size=0)


def test_a_flow_refuses_mini_batches():
    problem = pj.problems.digits(samples=16, hidden=(4,), batch_size=4)
    with pytest.raises(ValueError, match="problem = 'digits' draws mini-batches"):
        pj.sweep(problem, pj.adam_flow, pj.Grid(a=[1.0, 2.0], b=1.0), time=1.0)


def test_cells_with_noise_have_bits_that_do_not_depend_on_other_cells():
    """x²/2 with a noisy gradient: all cells of a seed see the same noise, in any block."""
    problem = pj.Problem(
        lambda x: 0.5 * jnp.sum(x**2),
        lambda key: jnp.ones(2),
        batch_loss=lambda x, key: 0.5 * jnp.sum((x - 0.1 * jax.random.normal(key, (2,))) ** 2),
    )
    values = list(pj.log_axis(1, 90, 16).values)
    both = [
        pj.sweep(
            problem,
            pj.adam,
            pj.Grid(a=v, b=10.0, learning_rate=1e-2),
            steps=640,
            windows=64,
            block_size=4,
        )
        for v in (values, values[::-1])
    ]
    np.testing.assert_array_equal(both[0].loss_mean, both[1].loss_mean[::-1])
    assert float(both[0].loss_min.min()) > 0
