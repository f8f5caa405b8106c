"""The streaming statistics compared with NumPy on the whole curve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasejax.envelope import add, edges, empty, finish, of_curve

from .fuzzing import properties


def streamed(loss, dtype="float64"):
    with jax.enable_x64(dtype == "float64"):
        length = jnp.asarray(len(loss), jnp.int32)
        running, _ = jax.lax.scan(
            lambda running, x: (add(running, x, 1 / length.astype(dtype)), None),
            empty(jnp.dtype(dtype)),
            jnp.asarray(loss, dtype),
        )
        return [float(x) for x in finish(running, length)[:4]]


@properties
@given(st.lists(st.floats(-300, 300), min_size=1, max_size=40))
def test_mean_of_log10_holds_over_600_decades(exponents):
    loss = 10.0 ** np.array(exponents)
    minimum, maximum, mean, log10 = streamed(loss)
    assert minimum == loss.min()
    assert maximum == loss.max()
    assert mean == pytest.approx(loss.mean(), rel=1e-12)
    assert log10 == pytest.approx(np.log10(loss).mean(), rel=1e-12, abs=1e-11)


@pytest.mark.parametrize(
    "loss",
    [
        [1e-300] * 1000,
        [1e300] * 1000,
        [1e-300, 1e300] * 50,
        [2.3e-308],
        [1.7e308],
        [1.0, 0.0, 1.0],
        [1.0, np.inf, 1.0],
        [1.0, np.nan, 0.0],
        [1.0, -np.inf, 2.0],
        [np.nan, -np.inf, np.inf],
        [0.0],
    ],
)
def test_edges_of_floating_point(loss):
    ours, exact = streamed(loss), [float(x[0]) for x in of_curve(np.array(loss), 1)[:4]]
    for value, reference in zip(ours, exact, strict=True):
        assert value == pytest.approx(reference, rel=1e-9)


def test_float32_too():
    loss = np.float32(10.0) ** np.linspace(-37, 37, 200).astype(np.float32)
    assert streamed(loss, "float32")[3] == pytest.approx(np.log10(loss).mean(), abs=1e-4)


def test_negative_losses_have_no_logarithm():
    assert np.isnan(streamed([1.0, -1.0])[3])
    assert np.isnan(of_curve(np.array([1.0, -1.0]), 1).log10_loss_mean[0])


@given(st.integers(1, 300), st.integers(0, 10_000))
def test_windows_cover_every_step_once_and_differ_by_one(windows, more):
    steps = windows + more
    lengths = np.diff(edges(steps, windows))
    assert lengths.sum() == steps
    assert lengths.max() - lengths.min() <= 1
    assert lengths.min() >= 1
