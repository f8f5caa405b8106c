"""A run that moves is not converged, however constant its loss."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

import phasejax as pj
from phasejax.regimes import NAMES

START = (1.1, 0.5)
BOWL = pj.problems.quadratic((1.0, 1.0), START)


def turning(learning_rate):
    """x₁, x₂ → −x₂, x₁: a cycle of four on any round bowl, whose loss does not change."""

    def update(updates, state, params: Any = None):
        return learning_rate * (jnp.stack([-params[1], params[0]]) - params), state

    return optax.GradientTransformation(lambda params: (), update)


def drifting(learning_rate):
    """The gradient of a plateau is zero, and a momentum that nothing damps goes on."""

    def update(updates: Any, state, params=None):
        return jnp.full_like(updates, learning_rate), state

    return optax.GradientTransformation(lambda params: (), update)


PLATEAU = pj.Problem(lambda x: 0.5 + 0 * jnp.sum(x), lambda key: jnp.ones(2), "plateau")
MOVING = {
    "rmsprop, the paper's cycle": (BOWL, pj.rmsprop, {"a": [100.0, 200.0, 500.0], "eps": 0.0}),
    "sgd at twice the inverse curvature": (BOWL, optax.sgd, {"learning_rate": [2.0]}),
    "sign descent": (BOWL, optax.sign_sgd, {"learning_rate": [0.2]}),
    "turning by a right angle": (BOWL, turning, {"learning_rate": [1.0]}),
    "a plateau": (PLATEAU, drifting, {"learning_rate": [1e-3]}),
}


def swept(problem, dynamics, values, **more):
    values = {"learning_rate": 1e-3} | values
    return pj.sweep(problem, dynamics, pj.Grid(**values), steps=8192, windows=32, **more)


@pytest.mark.parametrize("name", MOVING)
def test_a_constant_loss_of_moving_parameters_is_no_convergence(name):
    dataset = swept(*MOVING[name])
    late = dataset.isel(window=slice(16, None))
    assert float((late.loss_max.max() - late.loss_min.min()) / late.loss_max.max()) < 1e-12
    assert set(np.ravel(dataset.regime)) == {NAMES.index("oscillation")}
    assert float(late.relative_step.min()) > 1e-6


def test_the_relative_step_is_that_of_a_two_cycle():
    """From −η/2 to η/2, over the size that the start had."""
    dataset = swept(BOWL, pj.rmsprop, {"a": [100.0], "eps": 0.0})
    np.testing.assert_allclose(dataset.relative_step.isel(window=-1), 1e-3 / 1.1, rtol=1e-6)


@pytest.mark.parametrize(
    ("problem", "dynamics", "values"),
    [
        # The loss is 0.7 to the last bit while x still shrinks: at rest by the size it had.
        (
            pj.Problem(lambda x: 0.7 + jnp.sum(x**2), lambda key: jnp.ones(2), "offset"),
            optax.sgd,
            {"learning_rate": [0.1]},
        ),
        (PLATEAU, optax.sgd, {"learning_rate": [0.1]}),
        (BOWL, optax.sgd, {"learning_rate": [0.5]}),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.filterwarnings("ignore:dtype")
def test_parameters_at_rest_have_converged(problem, dynamics, values, dtype):
    dataset = swept(problem, dynamics, values, dtype=dtype)
    assert list(dataset.regime) == [NAMES.index("converged")]
    assert float(dataset.end_step.max()) <= 3


def test_a_store_without_steps_is_labelled_by_its_loss(tmp_path):
    """Older stores do not know how parameters moved; flows have no steps."""
    dataset = swept(*MOVING["sign descent"], store=tmp_path / "new.zarr")
    old = dataset.drop_vars(["relative_step", "end_step"]).load()
    assert str(np.asarray(NAMES)[pj.classify(old).regime.item()]) == "converged"
    old.to_zarr(tmp_path / "old.zarr", zarr_format=3, consolidated=False)
    assert "end_step" not in pj.cell(pj.open_dataset(tmp_path / "old.zarr"), {"learning_rate": 0.2})
    flow = pj.sweep(
        BOWL, pj.signgd_flow, pj.Grid(eps=[0.1]), time=1.0, windows=8, store=tmp_path / "flow"
    )
    assert "relative_step" not in flow
    xr.testing.assert_identical(pj.classify(flow.load()).regime, flow.regime)


def test_retired_cells_are_at_rest_or_unknown():
    """A cell that has ended is not run on: its later windows are what it would have shown."""

    grid = pj.Grid(learning_rate=[1.0, 5.0, *np.linspace(0.1, 0.2, 6)])
    dataset = pj.sweep(BOWL, optax.sgd, grid, steps=4096, windows=32, block_size=1)
    steps = dataset.relative_step.isel(window=-1)
    assert float(steps[0]) == 0
    assert np.isnan(float(steps[1]))


def test_the_largest_parameter_is_that_of_all_leaves():
    problem = pj.Problem(
        lambda p: jnp.sum(p["w"] ** 2) + p["b"] ** 2,
        lambda key: {"w": jnp.zeros((2, 3)), "b": jnp.asarray(4.0)},
        "leaves",
    )
    dataset = pj.sweep(
        problem, optax.sgd, pj.Grid(learning_rate=[0.25]), steps=8, windows=8
    )  # b halves
    expected = 0.5 ** np.arange(1, 9)
    np.testing.assert_allclose(dataset.relative_step[0], expected)
    assert jax.tree.leaves(problem.init(jax.random.key(0)))[0].shape == ()


# Cells at rest cost nothing -----------------------------------------------------------------------

STOPPING = {
    "sgd": optax.sgd,
    "momentum": lambda learning_rate: optax.sgd(learning_rate, momentum=0.5),
    "nesterov": lambda learning_rate: optax.sgd(learning_rate, momentum=0.5, nesterov=True),
    "optax.adam": optax.adam,
    "adamw without decay": lambda learning_rate: optax.adamw(learning_rate, weight_decay=0.0),
    "optax.rmsprop": optax.rmsprop,
    "adagrad": optax.adagrad,
    "lion": lambda learning_rate: optax.lion(learning_rate, weight_decay=0.0),
    "nadam": optax.nadam,
    "amsgrad": optax.amsgrad,
    "clipped": lambda learning_rate: optax.chain(
        optax.clip_by_global_norm(1.0), optax.adam(learning_rate)
    ),
    "phasejax.adam": lambda learning_rate: pj.adam(1.0, 10.0, learning_rate),
    "phasejax.rmsprop": lambda learning_rate: pj.rmsprop(1.0, None, learning_rate),
}
GOING_ON = {
    "a constant drift": drifting,
    "weight decay": lambda learning_rate: optax.adamw(learning_rate, weight_decay=0.1),
    "noise": lambda learning_rate: optax.chain(
        optax.add_noise(0.1, 0.5, 0), optax.sgd(learning_rate)
    ),
}
ORIGIN = pj.Problem(lambda x: jnp.sum(x**2), lambda key: jnp.zeros(2), "at the minimum")
ELSEWHERE = pj.Problem(
    lambda x: jnp.sum(jnp.maximum(x - 2, 0) ** 2), lambda key: jnp.ones(2), "flat around the start"
)


def ended(factory, problem=ELSEWHERE, state=None, learning_rate=0.1):
    """Ask the optimizer itself whether a cell can change no more."""
    optimizer = pj.Optimizer(factory)
    with jax.enable_x64(True):
        params = problem.init(jax.random.key(0))
        start = optimizer.start({"learning_rate": learning_rate}, params)
        if state is not None:
            start = (start[0], state(start[1]), *start[2:])
        return bool(optimizer.ended(problem.loss, {"learning_rate": learning_rate}, start))


@pytest.mark.parametrize("name", STOPPING)
def test_every_optimizer_of_optax_is_seen_to_rest(name):
    """At zero gradient with no momentum; and with momentum it is not."""
    assert ended(STOPPING[name])
    has_momentum = name not in ("sgd", "optax.rmsprop", "adagrad", "phasejax.rmsprop")
    assert ended(STOPPING[name], state=nudged) is not has_momentum


def nudged(state):
    """A state whose moments are not zero."""
    return jax.tree.map(lambda x: x + jnp.issubdtype(x.dtype, jnp.floating), state)


@pytest.mark.parametrize("name", GOING_ON)
def test_what_moves_at_zero_gradient_is_not_at_rest(name):
    assert not ended(GOING_ON[name])


def test_a_second_moment_whose_decay_ends_in_nan_is_not_at_rest():
    """With ε = 0 optax's Adam comes to 0/0 once v has decayed to zero; phasejax's stays."""
    assert not ended(lambda learning_rate: optax.adam(learning_rate, eps=0.0))
    assert ended(lambda learning_rate: pj.adam(1.0, 10.0, learning_rate, eps=0.0))


@pytest.mark.parametrize("name", ["sgd", "momentum", "optax.rmsprop", "adagrad"])
def test_cells_that_ended_have_the_envelope_that_they_would_have_had(name):
    """The sweep with retirement is, bit by bit, the sweep without."""

    class Unending(pj.Optimizer):
        """An optimizer whose cells are all run to the end."""

        def ended(self, loss, hyper, state):
            return jnp.zeros((), bool)

    grid = pj.Grid(learning_rate=np.linspace(0.1, 0.6, 8))
    call: dict[str, Any] = {"steps": 8192, "windows": 32, "block_size": 1}
    one, other = (pj.sweep(ORIGIN, kind(STOPPING[name]), grid, **call) for kind in
                  (pj.Optimizer, Unending))  # fmt: skip
    xr.testing.assert_identical(one.drop_attrs(), other.drop_attrs())


@pytest.mark.usefixtures("short_segments")
def test_a_mini_batch_may_move_a_cell_whose_loss_is_zero():
    """The loss is flat around the start, and every mini-batch has a slope."""
    problem = pj.Problem(
        lambda x: jnp.sum(jax.nn.relu(jnp.abs(x) - 1)),
        lambda key: jnp.zeros(2),
        batch_loss=lambda x, key: jnp.sum(x * jax.random.normal(key, (2,))),
    )
    grid = pj.Grid(learning_rate=np.linspace(1e-3, 0.1, 8))
    dataset = pj.sweep(problem, optax.sgd, grid, steps=4096, windows=32, block_size=1)
    assert (dataset.loss_max.isel(window=0) == 0).sum() >= 2  # they look as if they had ended
    assert (dataset.relative_step.isel(window=-1) > 0).all()
