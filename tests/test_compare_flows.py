"""Flows beside the optimizer that they follow."""

import numpy as np
import optax
import pytest

import phasejax as pj

DEEP = pj.problems.deep_linear(4, (1.0, 0.7, 0.5))


def test_each_flow_is_compared_with_the_optimizer_in_every_cell():
    """Below the edge all follow; above it, the stable flow leaves and the central flow follows."""
    grid = pj.Grid(learning_rate=[0.02, 0.5])
    found = pj.compare_flows(
        DEEP, optax.sgd, grid, steps=2_000, windows=20, directions=1, block_size=2, tolerance=0.15
    )
    assert list(found.flow.values) == ["stable", "central", "rod"]
    assert found.error.dims == ("flow", "learning_rate", "window")
    above = found.sel(learning_rate=0.5)
    ratio = above.predicted_loss / above.loss_mean - 1
    np.testing.assert_allclose(above.error, ratio, rtol=1e-12)
    until = above.follows_until.sel(flow="stable")
    assert above.follows_until.sel(flow="central") > until
    wrong = np.abs(above.error.sel(flow="stable")) > 0.15
    assert until == above.step.values[int(wrong.values.argmax())]
    late = above.distance.isel(window=-1)
    assert late.sel(flow="central") < 0.05 < late.sel(flow="stable")
    below = found.sel(learning_rate=0.02)
    assert (below.error.isel(window=0) < 0.15).all()


def test_the_distance_is_that_of_the_mean_parameters_of_windows():
    """Both runs again, step by step."""
    rate, steps = 0.5, list(range(64))
    found = pj.compare_flows(
        DEEP, optax.sgd, pj.Grid(learning_rate=[rate]), steps=64, windows=8, block_size=1
    )

    def parameters(dynamics):
        runs = pj.trajectory(DEEP, dynamics, steps=steps, learning_rate=rate)
        return np.concatenate([np.reshape(x, (64, -1)) for x in runs], axis=1)

    def means(dynamics):
        return parameters(dynamics).reshape(8, 8, -1).mean(axis=1)

    truth, start = means(optax.sgd), parameters(optax.sgd)[0]
    for name, flow in (("stable", pj.stable_flow(optax.sgd)), ("rod", pj.rod_flow(optax.sgd))):
        apart = np.linalg.norm(means(flow) - truth, axis=1)
        expected = apart / np.linalg.norm(truth - start, axis=1)
        distance = found.distance.sel(flow=name).squeeze()
        np.testing.assert_allclose(distance, expected, rtol=1e-6)


def test_what_a_comparison_refuses():
    grid = pj.Grid(learning_rate=[0.1])
    with pytest.raises(ValueError, match="tolerance = 0"):
        pj.compare_flows(DEEP, optax.sgd, grid, steps=64, windows=8, tolerance=0)
    with pytest.raises(ValueError, match="optimizer = 'lion'"):
        pj.compare_flows(DEEP, optax.lion, grid, steps=64, windows=8)
