"""Central flows of adaptive optimizers, against the optimizers on digits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import phasejax as pj
from phasejax.dynamics.central_step import Oscillation, curvature_slopes, euler
from phasejax.dynamics.slow_rule import slow_rmsprop, slow_scalar_rmsprop

DIGITS = pj.problems.digits((8, 9), 200, hidden=(16,), activation="tanh")


def followed(optimizer, directions=1, **values):
    """The flow's 20 windows of 100 steps, and its predicted loss over the mean loss, less 1."""
    grid = pj.Grid(seed=[0], **values)
    run: dict[str, Any] = {"steps": 2_000, "windows": 20, "block_size": 1}
    discrete = pj.sweep(DIGITS, optimizer, grid, **run).squeeze()
    flow = pj.sweep(DIGITS, pj.central_flow(optimizer, directions), grid, **run).squeeze()
    return flow, flow.loss_mean.values / discrete.loss_mean.values - 1


def test_the_flow_of_rmsprop_predicts_its_mean_loss_for_2000_steps():
    """In every window within 5 %; at the edge the sharpness is at its threshold to 2 %."""
    flow, error = followed(pj.rmsprop, a=60.0, learning_rate=5e-4)
    assert np.abs(error).max() < 0.05
    np.testing.assert_allclose(flow.flow_edge_ratio[2:], 1, rtol=0.02)
    assert (flow.flow_beyond.values < 1).all()


def test_the_flow_of_scalar_rmsprop_predicts_its_mean_loss():
    flow, error = followed(pj.scalar_rmsprop, a=20.0, learning_rate=0.01)
    assert np.abs(error[3:]).max() < 0.05
    np.testing.assert_allclose(flow.flow_edge_ratio[3:], 1, rtol=0.02)


@pytest.mark.parametrize("rule", [slow_rmsprop, slow_scalar_rmsprop])
def test_the_second_moment_follows_the_mean_square_gradient(rule):
    """At the edge Hu = 2Pu: one substep adds g² + diag(HΣH) − v, or |g|² + tr(HΣH) − v."""
    with jax.enable_x64(True):
        slow = rule(50.0, 1e-3)
        v, x = jnp.array([4.0, 4.0]), jnp.array([0.0, 1.0])
        p = slow.preconditioner(v)

        def loss(x):
            return p[0] * x[0] ** 2 * x[1] - 0.1 * x[1]  # H = 2P in the first direction

        u = jnp.array([[1.0, 0.0]]) / jnp.sqrt(p)
        oscillation = Oscillation(u, curvature_slopes(loss, x, u))
        start = x, v, jnp.zeros((1, 1))
        first, after, covariance = euler(slow, loss, 0.25, oscillation, *start)
        variance = covariance[0, 0] / p[0]
        assert variance > 0
        spread = np.array([4 * p[0] ** 2 * variance, 0.0])
        square = np.array([0.0, 0.01])
        if rule is slow_scalar_rmsprop:
            spread, square = np.full(2, spread.sum()), np.full(2, square.sum())
        np.testing.assert_allclose(after - v, 0.25 * 0.05 / 0.95 * (square + spread - v))
        pull = -0.1 + p[0] * variance  # ∂L/∂y + ½ Σ ∂H/∂y
        np.testing.assert_allclose(first[1] - 1, -0.25 * pull / p[1], rtol=1e-9)


def test_below_the_edge_the_stable_flow_is_the_flow_of_small_steps():
    """phasejax.rmsprop_flow starts at v = 0, so after the start; the rates differ by aη."""
    rate, steps, problem = 1e-4, 2_000, pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    moving = pj.stable_flow(pj.rmsprop)
    values: dict[str, Any] = {"a": 50.0, "eps": 0.1}
    stable = pj.trajectory(problem, moving, steps=[steps], learning_rate=rate, **values)
    exact = pj.trajectory(problem, pj.rmsprop_flow, times=[rate * steps], **values)
    np.testing.assert_allclose(stable, exact, rtol=2e-3)
    assert np.abs(stable - 1).max() > 0.1


def test_the_flow_of_adam_predicts_its_mean_loss_for_2000_steps():
    """β₁ = 0.5 and a threshold of 6. The flow oscillates by itself if m enters with a delay."""
    flow, error = followed(pj.adam, directions=1, a=60.0, b=1_000.0, learning_rate=5e-4)
    assert np.abs(error).max() < 0.05
    np.testing.assert_allclose(flow.flow_edge_ratio[4:], 1, rtol=0.02)
