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
    assert until == above.step.values[int(wrong.argmax())]
    below = found.sel(learning_rate=0.02)
    assert (below.error.isel(window=0) < 0.15).all()


def test_what_a_comparison_refuses():
    grid = pj.Grid(learning_rate=[0.1])
    with pytest.raises(ValueError, match="tolerance = 0"):
        pj.compare_flows(DEEP, optax.sgd, grid, steps=64, windows=8, tolerance=0)
    with pytest.raises(ValueError, match="optimizer = 'lion'"):
        pj.compare_flows(DEEP, optax.lion, grid, steps=64, windows=8)
