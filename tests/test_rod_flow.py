"""Rod flows: exact on orbits of period two, and the mean of the optimizer near them."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

import phasejax as pj

RUN: dict[str, Any] = {"windows": 8, "block_size": 1}


def cosh_valley(start):
    return pj.Problem(lambda x: jnp.log(jnp.cosh(x[0])), lambda key: jnp.array([start]), "cosh")


CYCLE: Any = scipy.optimize.brentq(lambda x: 2 * x - 3 * np.tanh(x), 0.5, 3, xtol=1e-15)
"""Gradient descent on log cosh x with learning rate 3 alternates between ± this."""


def test_on_an_orbit_of_period_two_a_rod_flow_is_exact():
    problem, grid = cosh_valley(CYCLE), pj.Grid(learning_rate=[3.0])
    flow = pj.sweep(problem, pj.rod_flow(optax.sgd), grid, steps=400, **RUN)
    np.testing.assert_allclose(flow.loss_mean, np.log(np.cosh(CYCLE)), rtol=1e-13)
    found = pj.trajectory(problem, pj.rod_flow(optax.sgd), steps=[1, 100], learning_rate=3.0)
    np.testing.assert_allclose(found, 0, atol=1e-13)


@pytest.mark.parametrize(
    ("optimizer", "values"),
    [
        (optax.sgd, {"learning_rate": 3.0}),
        (pj.rmsprop, {"learning_rate": 0.1, "a": 5.0}),
        (optax.adam, {"learning_rate": 0.1, "b1": 0.1, "b2": 0.5}),
    ],
)
def test_a_rod_flow_comes_to_the_orbit_of_the_optimizer(optimizer, values):
    """From elsewhere, with moments and a counter in the state."""
    problem, grid = cosh_valley(1.0), pj.Grid(seed=[0], **values)
    flow = pj.sweep(problem, pj.rod_flow(optimizer), grid, steps=800, **RUN)
    discrete = pj.sweep(problem, optimizer, grid, steps=800, **RUN)
    late = float(discrete.loss_mean[0, -1])
    assert late > 1e-6
    np.testing.assert_allclose(flow.loss_mean[0, -1], late, rtol=1e-6)


def test_where_nothing_oscillates_the_rod_is_a_step_long():
    """On a quadratic, gradient flow with the curvature's correction: x decays by (1 − ηλ)ᵏ."""
    problem, rate, steps = pj.problems.quadratic((1.0,), (1.0,)), 0.1, 40
    found = pj.trajectory(problem, pj.rod_flow(optax.sgd), steps=[steps], learning_rate=rate)
    exact = (1 - rate) ** steps * (1 - rate / 2)
    np.testing.assert_allclose(found[0], exact, rtol=steps * rate**3)


def test_a_rod_flow_refuses_mini_batches():
    problem = pj.problems.digits(batch_size=8)
    with pytest.raises(ValueError, match="mini-batches"):
        pj.sweep(problem, pj.rod_flow(optax.sgd), pj.Grid(learning_rate=[0.1]), steps=64, windows=8)


def test_a_rod_flow_of_rmsprop_follows_it_on_digits():
    """Dead pixels have a second moment of 0, where the root has no derivative."""
    problem = pj.problems.digits((8, 9), 200, hidden=(16,), activation="tanh")
    grid = pj.Grid(a=[60.0], learning_rate=5e-4)
    flow = pj.sweep(problem, pj.rod_flow(pj.rmsprop), grid, steps=500, **RUN)
    discrete = pj.sweep(problem, pj.rmsprop, grid, steps=500, **RUN)
    np.testing.assert_allclose(flow.loss_mean, discrete.loss_mean, rtol=0.05)


@pytest.mark.parametrize("probe", ["moments", "sharpness", "predictor"])
def test_probes_of_an_optimizers_state_are_refused(probe):
    grid = pj.Grid(a=[1.0], learning_rate=1e-2)
    flow = pj.rod_flow(pj.rmsprop)
    with pytest.raises(ValueError, match=f"probes = {probe}: it looks at an optimizer's state"):
        pj.sweep(pj.problems.quadratic(), flow, grid, steps=64, windows=8, probes=[probe])
