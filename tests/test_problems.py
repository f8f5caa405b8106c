import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree
from jax.test_util import check_grads
from sklearn.datasets import load_digits

import phasejax as pj
from phasejax.problems.problem import initial_params

from .fuzzing import properties

TOYS = [
    pj.problems.quadratic((3.0, 1.0, 0.1)),
    pj.problems.power(4),
    pj.problems.power(2),
    pj.problems.power(3.5),
    pj.problems.rosenbrock(),
    pj.problems.rosenbrock(10.0, dimension=4),
    pj.problems.deep_linear(),
    pj.problems.deep_linear(depth=1),
]
MINIMIZERS = [
    np.zeros(3),
    np.zeros(1),
    np.zeros(1),
    np.zeros(1),
    np.ones(2),
    np.ones(4),
    [np.eye(2), np.eye(2), np.diag([1.0, 0.5])],
    [np.diag([1.0, 0.5])],
]


KNOWN = list(zip(TOYS, MINIMIZERS, strict=True))


@pytest.mark.parametrize(("problem", "minimizer"), KNOWN)
def test_known_minimum_is_attained_with_zero_gradient(problem, minimizer):
    with jax.enable_x64(True):
        value, gradient = jax.value_and_grad(problem.loss)(jax.tree.map(jnp.asarray, minimizer))
        value = float(value)
    assert value == problem.minimum == 0.0
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(("problem", "minimizer"), KNOWN)
def test_known_hessian_is_that_of_the_loss(problem, minimizer):
    if problem.hessian is None:
        pytest.skip("not known")
    with jax.enable_x64(True):
        flat, unravel = ravel_pytree(jax.tree.map(jnp.asarray, minimizer))
        hessian = jax.hessian(lambda x: problem.loss(unravel(x)))(flat)
    np.testing.assert_allclose(hessian, problem.hessian, atol=1e-12)


@pytest.mark.parametrize("problem", [p for p in TOYS if p.pl_constant is not None])
@properties
@given(seed=st.integers(0, 2**31 - 1), scale=st.floats(1e-3, 1e3))
def test_pl_inequality_holds_and_is_attained(problem, seed, scale):
    with jax.enable_x64(True):
        params = jax.tree.map(lambda x: scale * jnp.asarray(x), initial_params(problem, seed))
        value, gradient = jax.value_and_grad(problem.loss)(params)
        squares = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(gradient))
    assert squares >= problem.pl_constant * float(value) * (1 - 1e-12)


def test_pl_constant_of_a_quadratic_is_the_largest_possible():
    problem = pj.problems.quadratic((3.0, 0.1))
    with jax.enable_x64(True):
        value, gradient = jax.value_and_grad(problem.loss)(jnp.array([0.0, 2.0]))
        assert problem.pl_constant is not None
        assert float(jnp.sum(gradient**2)) == pytest.approx(problem.pl_constant * float(value))


def test_digits_are_the_images_of_scikit_learn():
    data: Any = load_digits()
    chosen = np.isin(data.target, (3, 8))
    loss: Any = pj.problems.digits((3, 8), samples=100).loss
    images, targets = loss.args
    np.testing.assert_array_equal(images.T, data.data[chosen][:100] / 16)
    np.testing.assert_array_equal(targets, np.where(data.target[chosen][:100] == 3, -1, 1))


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "softplus", "linear"])
@pytest.mark.parametrize("loss", ["mse", "logistic"])
def test_digits_loss_is_that_of_the_network_written_out(activation, loss):
    problem = pj.problems.digits(samples=20, hidden=(5, 3), activation=activation, loss=loss)
    layers = initial_params(problem, 1)
    act = {
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
        "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        "softplus": lambda x: np.logaddexp(x, 0),
        "linear": lambda x: x,
    }[activation]
    written: Any = problem.loss
    x, y = written.args
    for weights, bias in layers[:-1]:
        x = act(weights @ x + bias[:, None])
    output = (layers[-1][0] @ x)[0] + layers[-1][1]
    expected = {
        "mse": np.mean((output - y) ** 2),
        "logistic": np.mean(np.logaddexp(0, -y * output)),
    }[loss]
    with jax.enable_x64(True):
        assert float(problem.loss(layers)) == pytest.approx(expected, rel=1e-12)


def test_derivatives_of_a_network_are_right_in_both_modes_and_to_second_order():
    """Against finite differences: its matrix product is a primitive with rules of its own."""
    problem = pj.problems.digits(samples=20, hidden=(5, 3, 4), activation="tanh")
    with jax.enable_x64(True):
        params = initial_params(problem, 1)
        check_grads(jax.jit(problem.loss), (params,), order=2, modes=("fwd", "rev"))


@pytest.mark.parametrize("stacked", [(0, 0), (0, None), (None, 0)])
def test_derivatives_of_networks_that_share_a_layer_are_those_of_a_loop(stacked):
    """Networks in a stack of which the first or the second layer may be one and the same."""
    problem = pj.problems.digits(samples=20, hidden=(5,), activation="tanh")
    with jax.enable_x64(True):
        starts = [initial_params(problem, seed) for seed in (1, 2, 3)]
        layers = [
            starts[0][k] if axis is None else jax.tree.map(lambda *x: jnp.stack(x), *every)
            for k, (axis, every) in enumerate(zip(stacked, zip(*starts, strict=True), strict=True))
        ]
        chosen = [
            [starts[0 if axis is None else n][k] for k, axis in enumerate(stacked)]
            for n in range(len(starts))
        ]
        axes = [None if axis is None else (0, 0) for axis in stacked]
        gradient = jax.grad(problem.loss)

        def curved(params):
            return jax.jvp(gradient, (params,), (params,))[1]

        for function in (gradient, curved):
            found = jax.vmap(function, (axes,))(layers)
            for n, params in enumerate(chosen):
                jax.tree.map(
                    lambda x, y, n=n: np.testing.assert_allclose(x[n], y, rtol=1e-12, atol=1e-15),
                    found,
                    function(params),
                )


def test_products_with_the_hessian_multiply_no_matrix_that_is_yet_to_be_transposed():
    """XLA's CPU backend is slow where the left matrix is summed over its rows."""
    problem = pj.problems.digits(samples=16, hidden=(4, 3))
    params = jax.tree.map(lambda x: jnp.stack([x] * 2), initial_params(problem, 0))
    gradient = jax.grad(problem.loss)

    def curved(params):
        return jax.jvp(gradient, (params,), (params,))[1]

    for function in (gradient, curved):
        text = jax.jit(jax.vmap(function)).lower(params).as_text()
        summed = re.findall(r"dot_general.*contracting_dims = \[(\d)\] x", text)
        assert len(summed) > 4
        assert set(summed) == {"2"}  # of [cells, rows, columns]


def test_the_gradient_of_a_network_needs_no_superfluous_products():
    """Three products per layer (forward, weights, inputs), but two in the first layer.

    The other operations are elementwise, a few for each activation.
    """
    problem = pj.problems.digits(samples=128, hidden=(32, 32, 16))
    products = 2 * 128 * (2 * 64 * 32 + 3 * (32 * 32 + 32 * 16 + 16))
    activations = 128 * (32 + 32 + 16)
    params = jax.tree.map(lambda x: jnp.stack([x] * 4), initial_params(problem, 0))
    lowered = jax.jit(jax.vmap(jax.value_and_grad(problem.loss))).lower(params)
    cost: Any = lowered.cost_analysis()
    assert products < cost["flops"] / 4 < products + 10 * activations


def test_the_seed_determines_the_start():
    problem = pj.problems.digits()
    first, again, other = (initial_params(problem, seed)[0][0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float64
    assert np.abs(first - other).max() > 0.1
    assert np.var(first) == pytest.approx(2 / 64, rel=0.1)  # He et al.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pj.problems.digits((1, 1)), "digits = "),
        (lambda: pj.problems.digits(samples=5000), "samples = 5000: must be at most 360"),
        (lambda: pj.problems.digits(activation="rellu"), "did you mean 'relu'"),
        (lambda: pj.problems.digits(hidden=()), "hidden = "),
        (lambda: pj.problems.digits(loss="mae"), "loss = 'mae'"),
        (lambda: pj.problems.network(np.ones(3), np.ones(3)), r"\[samples, inputs\]"),
        (lambda: pj.problems.network(np.full((3, 2), np.nan), np.ones(3)), "must be finite"),
        (
            lambda: pj.problems.network(np.ones((3, 2)), np.arange(3), loss="logistic"),
            "targets = .* must be -1 or 1",
        ),
        (lambda: pj.problems.quadratic((1.0, -1.0)), "spectrum = "),
        (lambda: pj.problems.quadratic((0.0,)), "spectrum = "),
        (lambda: pj.problems.quadratic((1.0,), start=(1.0, 2.0)), "start = "),
        (lambda: pj.problems.power(1), "k = 1"),
        (lambda: pj.problems.rosenbrock(-1), "steepness = -1"),
        (lambda: pj.problems.rosenbrock(dimension=1), "dimension = 1"),
        (lambda: pj.problems.deep_linear(depth=0), "depth = 0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
