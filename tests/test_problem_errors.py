"""A user's problem that cannot be swept: the error says what is wrong and what to do."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import phasejax as pj

GRID = pj.Grid(a=[1.0, 10.0], b=10.0)
SHORT: dict[str, Any] = {"steps": 64, "windows": 8}


def squares(params) -> Any:
    return sum(jnp.sum(x**2) for x in jax.tree.leaves(params))


def ones(key):
    return jnp.ones(2)


REFUSED = {
    "no number that is trained": (
        (squares, lambda key: {"n": jnp.zeros((), int), "name": "x", "on": True}),
        "no numbers that are trained",
    ),
    "complex": ((squares, lambda key: 1j * jnp.ones(2)), "params is complex128"),
    "float16": ((squares, lambda key: jnp.ones(2, jnp.float16)), "float64; params is float16: a "),
    "bfloat16": ((squares, lambda key: jnp.ones(2, jnp.bfloat16)), "float64; params is bfloat16"),
    "no parameters": ((squares, lambda key: jnp.ones((0, 3))), "it returned no numbers"),
    "auxiliary output": (
        (lambda x: (squares(x), x), ones),
        "a tuple of 2; .* leave auxil",
    ),
    "a dictionary": ((lambda x: {"loss": squares(x)}, ones), "returned a dict of 1"),
    "a Python number": ((lambda x: 0.5, ones), "returned 0.5, which is not a JAX array"),
    "a NumPy number": ((lambda x: np.float64(0.5), ones), "which is not a JAX array"),
    "nothing": ((lambda x: None, ones), "returned None, which is not a JAX array"),
    "float()": ((lambda x: float(squares(x)), ones), r"cannot be traced .* \(.*concrete"),
    "numpy": ((lambda x: jnp.asarray(np.sum(np.asarray(x))), ones), "cannot be traced .* use jax"),
    "an if": ((lambda x: squares(x) if x[0] > 0 else x[0], ones), "cannot be traced by JAX"),
    "a vector": ((lambda x: x**2, ones), r"returned shape \(2,\) and dtype float64"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_problem_that_cannot_be_swept_is_refused_with_one_helpful_line(what):
    arguments, message = REFUSED[what]
    with pytest.raises((TypeError, ValueError), match=message) as error:
        pj.sweep(pj.Problem(*arguments), pj.adam, GRID, **SHORT)
    assert "\n" not in str(error.value)


def test_a_batch_loss_is_checked_too():
    problem = pj.Problem(squares, ones, batch_loss=lambda x, key: x**2)
    with pytest.raises(ValueError, match=r"batch_loss of problem 'squares' returned shape \(2,\)"):
        pj.sweep(problem, pj.adam, GRID, **SHORT)


@pytest.mark.parametrize("value", [np.ones(2), {1, 2}, float("nan"), object()])
def test_a_config_that_json_cannot_encode_is_refused_by_key(value):
    with pytest.raises(TypeError, match=r"config\['x'\] = .* must be a value that JSON can"):
        pj.Problem(squares, ones, config={"x": value})


def test_a_nan_gradient_at_the_start_is_a_warning():
    """sqrt has no derivative at zero: the loss is finite, and every step is nan."""
    norm = pj.Problem(lambda x: jnp.sqrt(jnp.sum(x**2)), lambda key: jnp.zeros(2), "norm")
    with pytest.warns(RuntimeWarning, match=r"gradient of problem 'norm' is nan at the start"):
        dataset = pj.sweep(norm, pj.adam, GRID, **SHORT)
    assert np.isnan(dataset.initial_gradient_norm)
    assert pj.regime_counts(dataset)["divergence"] == 2
    fine = pj.sweep(pj.Problem(squares, ones), pj.adam, GRID, **SHORT)
    assert float(fine.initial_gradient_norm) == pytest.approx(2 * np.sqrt(2))


def test_a_batch_loss_may_depend_on_the_step():
    """The loss is 10x² in every third step and x² otherwise; compared with a plain loop."""

    def at(x, step):
        return jnp.where(step % 3 == 0, 10.0, 1.0) * jnp.sum(x**2)

    problem = pj.Problem(
        squares,
        ones,
        batch_loss=lambda x, key, step: at(x, step),
    )
    grid = pj.Grid(learning_rate=[0.01, 0.05], seed=[0, 1])
    dataset = pj.sweep(problem, optax.adam, grid, **SHORT)
    path = pj.trajectory(problem, optax.adam, steps=range(64), learning_rate=0.05)
    with jax.enable_x64(True):
        optimizer, x = optax.adam(0.05), jnp.ones(2)
        state, losses = optimizer.init(x), []
        for step in range(64):
            np.testing.assert_allclose(path[step], np.asarray(x), rtol=1e-9)
            losses.append(float(squares(x)))
            updates, state = optimizer.update(jax.grad(at)(x, step), state)
            x = optax.apply_updates(x, updates)
    expected = np.reshape(losses, (8, 8)).mean(-1)
    for seed in (0, 1):
        found = dataset.loss_mean.sel(learning_rate=0.05, seed=seed)
        np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_reddis_counterexample_drives_adam_the_wrong_way():
    """Reddi et al. (2018), theorem 1: the gradients C, −1, −1 with C > 2, on the whole line.

    Adam with β₁ = 0 and β₂ = 1/(1 + C²) goes up, against the mean gradient (C − 2)/3; AMSGrad
    goes down.
    """
    c = 3.0
    problem = pj.Problem(
        loss=lambda x: jax.nn.softplus(x[0]),
        init=lambda key: jnp.zeros(1),
        batch_loss=lambda x, key, step: jnp.where(step % 3 == 0, c, -1.0) * x[0],
    )
    arguments: dict[str, Any] = {"learning_rate": 0.01, "b1": 0.0, "b2": 1 / (1 + c**2)}
    ends = {
        optimizer.__name__: float(pj.trajectory(problem, optimizer, steps=[600], **arguments)[0, 0])
        for optimizer in (optax.adam, optax.amsgrad)
    }
    assert ends["adam"] > 0.5
    assert ends["amsgrad"] < -0.5


def test_the_key_of_a_batch_loss_may_have_any_name():
    problem = pj.Problem(squares, ones, batch_loss=lambda x, k: squares(x) + jax.random.normal(k))
    assert (pj.sweep(problem, pj.adam, GRID, **SHORT).regime >= 0).all()


@pytest.mark.parametrize("batched", [False, True])
def test_optimizers_that_need_the_objective_run(batched):
    """Sophia needs `obj_fn`, the line search `value_fn`, a transparent SAM `grad_fn`."""

    def sam(learning_rate):
        inner, outer = optax.sgd(learning_rate), optax.sgd(learning_rate)
        return optax.contrib.sam(inner, outer, sync_period=2, opaque_mode=True)

    batch_loss = (lambda x, key: squares(x)) if batched else None
    problem = pj.Problem(squares, ones, batch_loss=batch_loss)
    for optimizer in (optax.contrib.sophia, sam):
        dataset = pj.sweep(problem, optimizer, pj.Grid(learning_rate=[0.01, 0.02]), **SHORT)
        assert (dataset.loss_min.isel(window=-1) < dataset.initial_loss).all()
