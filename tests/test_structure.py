"""Axes of any argument of an optimizer: numbers of one program, or values compiled in."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

import phasejax as pj

from .compiled import programs

PROBLEM = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
SHORT: dict[str, Any] = {"steps": 64, "windows": 8}


def every_so_often(learning_rate, k):
    return optax.chain(optax.adam(learning_rate), optax.apply_every(k))


def warmed_up(peak, warmup_steps, decay_steps=64):
    return optax.adam(
        optax.warmup_cosine_decay_schedule(0.0, peak, warmup_steps, decay_steps, 1e-3)
    )


def remembering(memory_size):
    return optax.lbfgs(0.1, memory_size=memory_size, linesearch=None)


def chosen(learning_rate, optimizer, power=1):
    return optax.chain(optimizer(learning_rate**power))


def branching(learning_rate):
    return optax.sgd(learning_rate) if learning_rate > 0.15 else optax.adam(learning_rate)


def named(learning_rate, rule="adam"):
    return {"adam": optax.adam, "sgd": optax.sgd}[rule](learning_rate)


GRIDS = {
    "integers": (every_so_often, {"learning_rate": [0.1, 0.2], "k": [1, 4]}),
    "steps of a schedule": (warmed_up, {"peak": [0.1, 0.2], "warmup_steps": [4, 8]}),
    "all of a schedule": (warmed_up, {"peak": [0.1], "warmup_steps": [4], "decay_steps": [32, 64]}),
    "a length": (remembering, {"memory_size": [2, 4]}),
    "bools": (optax.adamw, {"learning_rate": [0.1], "nesterov": [False, True]}),
    "functions": (chosen, {"learning_rate": [0.1, 0.2], "optimizer": [optax.adam, optax.sgd]}),
    "strings": (named, {"rule": ["adam", "sgd"], "learning_rate": [0.1, 0.2]}),
    "numbers that Python branches on": (branching, {"learning_rate": [0.1, 0.2]}),
}


def of_one_cell(factory, values):
    """The loss before each step, from a loop with optax and Python values."""
    with jax.enable_x64(True):
        optimizer = factory(**values)
        params = jnp.ones(2)
        state, losses = optimizer.init(params), []

        @jax.jit
        def step(params, state):
            loss, grad = jax.value_and_grad(PROBLEM.loss)(params)
            updates, state = optimizer.update(grad, state, params)
            return optax.apply_updates(params, updates), state, loss

        for _ in range(SHORT["steps"]):
            params, state, loss = step(params, state)
            losses.append(float(loss))
    return np.array(losses)


@pytest.mark.parametrize("what", GRIDS)
def test_each_cell_agrees_with_a_loop_with_optax(what):
    factory, axes = GRIDS[what]
    dataset = pj.sweep(PROBLEM, factory, pj.Grid(**axes), **SHORT)
    assert dataset.regime.dims == tuple(axes)
    last = {name: len(values) - 1 for name, values in axes.items()}
    for place in (dict.fromkeys(axes, 0), last):
        values = {name: axes[name][i] for name, i in place.items()}
        loss = of_one_cell(factory, values).reshape(SHORT["windows"], -1)
        np.testing.assert_allclose(dataset.isel(place).loss_mean, loss.mean(-1), rtol=1e-6)


def test_a_store_of_categories_is_plain_zarr_and_resumes(tmp_path, recwarn):
    grid = pj.Grid(learning_rate=[0.1, 0.2], optimizer=[optax.adam, optax.sgd], seed=[0, 1])
    pj.sweep(PROBLEM, chosen, grid, **SHORT, store=tmp_path / "s")
    pj.sweep(PROBLEM, chosen, grid, **SHORT, store=tmp_path / "s", resume=True)
    dataset = xr.open_zarr(tmp_path / "s")
    assert list(dataset.optimizer.values) == ["adam", "sgd"]
    assert dataset.optimizer.attrs["scale"] == "category"
    assert (dataset.sel(optimizer="sgd").regime >= 0).all()
    assert not [w for w in recwarn if "Zarr" in str(w.message)]
    other = pj.Grid(learning_rate=[0.1, 0.2], optimizer=[optax.adam, pj.rmsprop], seed=[0, 1])
    with pytest.raises(ValueError, match=r"a is missing|axes differs|fails"):
        pj.sweep(PROBLEM, chosen, other, **SHORT, store=tmp_path / "s", resume=True)


def test_numbers_need_one_program_and_categories_one_each():
    before = programs()
    rates = list(np.linspace(0.1, 0.3, 7))
    pj.sweep(PROBLEM, named, pj.Grid(learning_rate=rates, rule=["adam", "sgd"]), **SHORT)
    assert programs() == before + 2


def test_refined_and_labelled_again_with_a_category(tmp_path):
    grid = pj.Grid(a=pj.log_axis(1, 100, 3), b=pj.log_axis(1, 100, 3), nudge=[False, True])

    def nudged(a, b, nudge):
        return optax.chain(pj.adam(a, b), optax.scale(2.0 if nudge else 1.0))

    refined = pj.sweep(PROBLEM, nudged, grid, steps=256, windows=32, refine=5)
    whole = pj.sweep(PROBLEM, nudged, grid.with_counts({"a": 5, "b": 5}), steps=256, windows=32)
    computed = refined.status.values == 1
    np.testing.assert_array_equal(refined.regime.values[computed], whole.regime.values[computed])
    np.testing.assert_array_equal(pj.classify(refined).regime, refined.regime)


def test_equal_values_of_different_types_are_distinguished():
    """True == 1, masks have no hash, and a float cannot hold large integers."""

    def half_if(learning_rate, flag=None):
        return optax.sgd(learning_rate * (0.5 if flag is True else 1.0))

    def masked(learning_rate, mask=None):
        return optax.sgd(learning_rate * (1.0 if mask is None else 0.5))

    def exact(learning_rate, k):
        return optax.sgd(learning_rate * (1.0 if k % 2 else 0.5))

    for factory, axis in [
        (half_if, {"flag": [True, 1, "x"]}),
        (masked, {"mask": [{"w": True}, None]}),
        (exact, {"k": [2**53, 2**53 + 1]}),
    ]:
        last = pj.sweep(PROBLEM, factory, pj.Grid(learning_rate=0.1, **axis), **SHORT).loss_min[
            :, -1
        ]
        assert last[0] > last[1] == last[-1], axis


def test_line_searches_run_by_name():
    """They refuse unknown arguments, which other optimizers need."""
    dataset = pj.sweep(PROBLEM, optax.lbfgs, pj.Grid(learning_rate=[0.5, 1.0]), **SHORT)
    assert (dataset.late_level < -10).all()


def test_too_many_programs_are_refused_by_name():
    grid = pj.Grid(learning_rate=pj.log_axis(0.1, 0.3, 65))
    with pytest.raises(ValueError, match=r"learning_rate = 'an axis of 65 values'.* at most 64"):
        pj.sweep(PROBLEM, branching, grid, **SHORT)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"learning_rate": "0.1", "b1": [0.1, 0.2]}, "learning_rate = '0.1': must be a number, n"),
        ({"learning_rate": [0.1], "b1": "high"}, "b1 = 'high': must be a number, not a string"),
        ({"learning_rate": ["a", "b"]}, "dynamics = adam fails with learning_rate='a': TypeError"),
        ({"learning_rate": [0.1], "activation": ["relu"]}, "adam = 'activation': unknown"),
        ({"learning_rate": [[0.1, 0.2]]}, r"learning_rate = 'of shape \(1, 2\)'"),
        ({"learning_rate": np.ones((2, 2))}, r"learning_rate = 'of shape \(2, 2\)'"),
        ({"learning_rate": jnp.ones((2, 2))}, r"learning_rate = 'of shape \(2, 2\)'"),
        ({"learning_rate": []}, "learning_rate = .*one or more values"),
        ({"learning_rate": [10**400, 1]}, "learning_rate = .* finite numbers"),
        ({"nesterov": [True, True], "learning_rate": 1.0}, "nesterov = .* different names"),
    ],
)
def test_an_impossible_axis_is_refused_with_one_line(grid, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        pj.sweep(PROBLEM, optax.adam, pj.Grid(**grid), **SHORT)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["window", "regime", "margin", "step", "status", "loss_min"])
def test_axes_may_not_have_the_names_of_the_results(name):
    def factory(**hyper):
        return optax.sgd(hyper["learning_rate"])

    with pytest.raises(ValueError, match=f"axis of the grid = '{name}': must be another name"):
        pj.sweep(PROBLEM, factory, pj.Grid(learning_rate=0.1, **{name: [1.0, 2.0]}), **SHORT)


def test_arrays_of_jax_and_ranges_are_axes():
    grid = pj.Grid(a=jnp.array([1.0, 2.0]), b=range(1, 3), learning_rate=jnp.array(1e-3))
    assert (grid.axes["a"].values, grid.axes["b"].values) == ((1.0, 2.0), (1, 2))
    assert grid.fixed["learning_rate"] == pytest.approx(1e-3)


WHOLE = [np.int64(16), np.int32(16), 16.0, np.float32(16), jnp.array(16)]


@pytest.mark.parametrize("number", WHOLE)
def test_whole_numbers_are_integers_everywhere(number):
    dataset = pj.sweep(
        PROBLEM, pj.adam, pj.Grid(a=[1.0], b=1.0, seed=[number]), steps=number, windows=number
    )
    assert (dataset.attrs["steps"], dataset.attrs["windows"]) == (16, 16)
    assert type(dataset.attrs["steps"]) is int
    assert dataset.attrs["seeds"] == [16]
    assert len(pj.log_axis(1, 2, number)) == 16


@pytest.mark.parametrize("value", [256.5, np.float32(256.5), np.nan, np.inf, True, 2**31])
def test_a_value_that_is_not_a_whole_number_is_refused(value):
    with pytest.raises(ValueError, match=r"steps = .*must be an integer, at least 1"):
        pj.sweep(PROBLEM, pj.adam, pj.Grid(a=[1.0], b=1.0), steps=value)
    with pytest.raises(ValueError, match=r"steps = .*must be"):
        pj.trajectory(PROBLEM, pj.adam, steps=[0, 256.5], a=1.0, b=1.0)


SEEDS = [20240119, 20240120, 123456789, 2**53 + 1, 2**62, 2**63 - 1]


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", id="float32")])
@pytest.mark.filterwarnings("ignore:dtype = 'float32'")
def test_seeds_stay_integers_from_end_to_end(dtype):
    problem = pj.problems.quadratic()
    dataset = pj.sweep(problem, pj.adam, pj.Grid(a=[1.0], b=1.0, seed=SEEDS), **SHORT, dtype=dtype)
    assert dataset.seed.values.tolist() == dataset.attrs["seeds"] == SEEDS
    assert len(set(dataset.initial_loss.values)) == len(SEEDS)
    first = dataset.loss_max.isel(a=0, window=0)
    np.testing.assert_allclose(first, dataset.initial_loss, rtol=1e-6)
    alone = pj.sweep(problem, pj.adam, pj.Grid(a=[1.0], b=1.0, seed=SEEDS[3]), **SHORT, dtype=dtype)
    np.testing.assert_array_equal(alone.loss_min, dataset.loss_min.isel(seed=3))


@pytest.mark.parametrize("seed", [-1, 0.5, 2**63, "1"])
def test_seeds_out_of_range_are_refused(seed):
    for given in (seed, [0, seed]):
        with pytest.raises(
            ValueError, match=r"seed = .*must be an integer, at least 0 and at most"
        ):
            pj.Grid(a=[1.0, 2.0], b=1.0, seed=given)
