"""One cell of a sweep again: the losses of its steps have the bits of the stored envelope."""

import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import phasejax as pj
from phasejax import cli

CORNERS = [(0.3, 3), (0.3, 300), (30, 300)]
"""a and b of cells of every kind: the second one spikes."""


def sweep(problem, steps=1000, dynamics=pj.adam, **others):
    grid = pj.Grid(a=pj.log_axis(0.3, 30, 5), b=pj.log_axis(3, 300, 7))
    return pj.sweep(problem, dynamics, **{"grid": grid, "steps": steps, "windows": 16, **others})


def agrees(run, dataset, **cell):
    """Whether the losses of all steps have the minimum and maximum that the sweep stored."""
    stored = dataset.sel({name: run[name] for name in cell})
    starts = np.arange(16) * run.sizes["step"] // 16
    low, high = (f.reduceat(run["loss"].values, starts) for f in (np.minimum, np.maximum))
    same = np.array_equal(low, stored["loss_min"]) and np.array_equal(high, stored["loss_max"])
    assert run.attrs["same_bits"] == same
    return same


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["quadratic", "rosenbrock"])
@pytest.mark.filterwarnings("ignore:dtype = 'float32'")
def test_losses_have_the_bits_of_the_sweep(name, dtype):
    problem = pj.problems.BUILT_IN[name]()
    dataset = sweep(problem, dtype=dtype)
    for a, b in CORNERS:
        run = pj.replay(dataset, problem, a=a, b=b)
        assert agrees(run, dataset, a=a, b=b)
        assert run["loss"].dtype == dtype


def test_every_place_of_a_block_has_its_bits():
    """The compiler computes the last cells of a block of 7 apart, and they round differently."""
    problem = pj.problems.rosenbrock()
    dataset = sweep(problem, block_size=7)
    for a in dataset["a"].values[:1]:
        for b in dataset["b"].values[:5]:
            assert pj.replay(dataset, problem, a=a, b=b).attrs["same_bits"]


def test_recorded_windows_have_all_bits(in_recorded_windows):
    """The means too, which are running sums of the program."""
    problem = pj.problems.quadratic()
    dataset = sweep(problem)
    copies = in_recorded_windows(dataset, problem, 6)
    for name in ("loss_min", "loss_max", "loss_mean", "log10_loss_mean", "relative_step"):
        np.testing.assert_array_equal(copies[name][0], dataset[name][0, 6])


def test_a_spiking_network_in_a_resumed_store_and_mini_batches(tmp_path):
    problem = pj.problems.digits(samples=32, hidden=(4,), batch_size=16)
    grid = pj.Grid(a=[0.3, 30], b=[3, 300], seed=[0, 1], learning_rate=1e-3)
    run = {"steps": 200, "grid": grid, "store": tmp_path / "s", "block_size": 4}
    sweep(problem, **run)
    dataset = sweep(problem, **run, resume=True)
    for seed in (0, 1):
        cell = {"a": 0.3, "b": 300, "seed": seed}
        found = pj.replay(dataset, problem, observe=lambda p, g, u: p, **cell)
        assert agrees(found, dataset, **cell)
        assert agrees(pj.replay(dataset.sel(seed=seed), problem, a=0.3, b=300), dataset, **cell)


def test_observed_steps_are_those_of_the_loss():
    """Parameters give the loss, and gradients of a quadratic are linear in the parameters."""
    problem = pj.problems.quadratic()
    dataset = sweep(problem, steps=64)

    def observe(params, grads, updates):
        return {"params": params, "grads": grads, "updates": updates}

    run = pj.replay(dataset, problem, observe=observe, a=0.3, b=300)
    assert agrees(run, dataset, a=0.3, b=300)
    params, grads, updates = (run[name].values for name in ("params", "grads", "updates"))
    np.testing.assert_allclose(jax.vmap(problem.loss)(params), run["loss"], rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(jax.grad(problem.loss))(params), grads, rtol=1e-5)
    np.testing.assert_allclose(params[:-1] + updates[:-1], params[1:], rtol=1e-12)


def test_results_that_are_no_dict_have_a_name():
    problem = pj.problems.quadratic()
    dataset = sweep(problem, steps=32)
    cell: dict[str, Any] = {"a": 1, "b": 10}
    assert "observed" in pj.replay(dataset, problem, observe=lambda p, g, u: g, **cell)
    run = pj.replay(dataset, problem, observe=lambda p, g, u: (jnp.sum(p), u), **cell)
    assert run["observed_0"].dims == ("step",)
    assert run["observed_1"].shape == (32, *run["observed_1"].shape[1:])


def test_the_gradient_of_a_mini_batch_is_that_of_the_step():
    def drawn(params, key):
        return jnp.sum((params - jax.random.normal(key, (2,))) ** 2)

    problem = pj.Problem(lambda x: jnp.sum(x**2), lambda key: jnp.ones(2), batch_loss=drawn)
    grid = pj.Grid(learning_rate=[0.01, 0.1])
    dataset = sweep(problem, steps=16, dynamics=optax.sgd, grid=grid, windows=8)

    def observe(params, grads, updates):
        return optax.tree.norm(optax.tree.add(jax.tree.map(lambda g: 0.1 * g, grads), updates))

    run = pj.replay(dataset, problem, observe=observe, learning_rate=0.1)
    assert run["observed"].max() < 1e-13


def test_cells_that_a_refinement_computed_or_inferred():
    problem = pj.problems.quadratic()
    grid = pj.Grid(a=pj.log_axis(0.3, 30, 5), b=pj.log_axis(3, 300, 5))
    dataset = sweep(problem, grid=grid, refine=17)
    for status in (1, 2):
        a, b = (
            dataset[n].values[np.argwhere(dataset["status"].values == status)[0][i]]
            for i, n in enumerate("ab")
        )
        run = pj.replay(dataset, problem, a=a, b=b)
        assert run.attrs.get("same_bits") == (True if status == 1 else None)


def test_a_cell_that_freed_its_slot(short_segments):
    """Gradient descent that diverges, and one that reaches zero, end before the other cells."""
    problem = pj.Problem(lambda x: 0.5 * jnp.sum(x**2), lambda key: jnp.ones(2), "bowl")
    grid = pj.Grid(learning_rate=[1.0, 1e-4, 3.0, 2.9, 1e-3])
    dataset = sweep(problem, steps=3000, dynamics=optax.sgd, grid=grid, block_size=1)
    for learning_rate, last in ((1.0, 0.0), (3.0, np.inf)):
        run = pj.replay(dataset, problem, learning_rate=learning_rate)
        assert agrees(run, dataset, learning_rate=learning_rate)
        assert run["loss"][-1] == last


class Noisy(pj.Steps):
    """Gradient descent with random steps."""

    random = True

    def init(self, rule, params):
        return ()

    def step(self, rule, loss, params, state, key):
        value, grads = jax.value_and_grad(loss)(params)
        return value, params - rule * grads + 1e-3 * jax.random.normal(key, params.shape), state


def identity(learning_rate=0.1):
    return learning_rate


def test_own_dynamics_with_random_steps_are_given_again():
    problem = pj.problems.quadratic()
    grid = pj.Grid(learning_rate=[0.001, 0.01])
    dataset = sweep(problem, dynamics=Noisy(identity), grid=grid)
    run = pj.replay(dataset, problem, dynamics=Noisy(identity), learning_rate=0.01)
    assert agrees(run, dataset, learning_rate=0.01)
    with pytest.raises(ValueError, match="dynamics = None: must be given"):
        pj.replay(dataset, problem, learning_rate=0.01)


def test_arguments_given_by_grid_or_function_or_default_are_told_apart():
    problem, axis = pj.problems.quadratic(), pj.log_axis(1e-3, 1e-1, 3)
    for dynamics, fixed in (
        (optax.adam, {"b1": 0.9}),
        (optax.adam, {"eps": 1e-7}),
        (functools.partial(optax.adam, b2=0.99, nesterov=True), {}),
    ):
        grid = pj.Grid(learning_rate=axis, **fixed)
        dataset = sweep(problem, dynamics=dynamics, grid=grid)
        assert pj.replay(dataset, problem, learning_rate=0.1).attrs["same_bits"]
        given = dataset.attrs.pop("given")
        assert given == list(fixed)


@pytest.fixture(scope="module")
def stored():
    problem = pj.problems.quadratic()
    return sweep(problem, steps=32), problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem": pj.problems.rosenbrock()}, "problem = .*: must be that of the sweep"),
        ({"dynamics": pj.rmsprop}, "dynamics = 'rmsprop': must be that of the sweep"),
        ({"dynamics": optax.sgd}, "hyper-parameter of sgd"),
        ({"a": "x"}, "cell = 'a=x': must be a finite number on the axis a"),
        ({"c": 1}, "cell = 'c': unknown; known are a, b"),
        ({"a": None}, "cell = {'b': 10}: must give every axis; missing are a"),
        ({"observe": lambda p, g, u: float(p[0])}, "observe: must be a function of"),
        ({"observe": lambda p, g, u: {"loss": p[0]}}, "observe: returned 'loss'"),
    ],
)
def test_errors_name_the_argument(stored, change, message):
    dataset, problem = stored
    given: dict[str, Any] = {"problem": problem, "a": 1, "b": 10} | change
    with pytest.raises((ValueError, TypeError), match=message):
        pj.replay(dataset, **{k: v for k, v in given.items() if v is not None})


def test_a_flow_has_no_steps(stored):
    _, problem = stored
    grid = pj.Grid(a=[1, 2], b=[1, 2])
    flow = pj.sweep(problem, pj.adam_flow, grid, time=1.0, windows=8)
    with pytest.raises(TypeError, match="adam_flow is a flow"):
        pj.replay(flow, problem, a=1, b=1)


def test_what_differs_is_said(stored):
    dataset, problem = stored
    other = dataset.copy(deep=True).assign_attrs(dataset.attrs | {"xla_flags": "--other"})
    other["loss_min"][:] = 7
    with pytest.warns(RuntimeWarning, match="losses differ .*: xla_flags '--other' then"):
        run = pj.replay(other, problem, a=1, b=10)
    assert not run.attrs["same_bits"]


def test_info_says_what_only_the_loss_of_every_step_shows(tmp_path, capsys):
    """The step of the first spike, which windows of 250 steps do not have."""
    problem = pj.problems.quadratic()
    dataset = sweep(problem, steps=4000, store=tmp_path / "s")
    words = ["info", str(tmp_path / "s"), "--at", "a=9.5,b=300", "--replay"]
    assert cli.main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["replay"]
    loss = pj.replay(dataset, problem, a=9.5, b=300)["loss"].values
    spikes = pj.classify_curve(loss, 0.0).spikes
    assert found["same_bits"] is True
    assert (found["spikes"], found["first_spike_step"]) == (len(spikes), spikes[0].step)
    assert found["highest_loss_step"] == loss.argmax()
    assert found["lowest_loss_step"] == loss.argmin()
    np.testing.assert_equal(found["welch_period"], pj.welch_period(loss))
    assert cli.main(words) == 0
    _, text = capsys.readouterr().out.split("from the loss of every step:\n")
    assert text.splitlines()[2].split() == ["first_spike_step", f"{spikes[0].step:.6g}"]


def test_info_replays_no_problem_of_ones_own(tmp_path, capsys):
    problem = pj.Problem(lambda x: jnp.sum(x**2), lambda key: jnp.ones(2), "mine")
    sweep(problem, steps=64, store=tmp_path / "s")
    assert cli.main(["info", str(tmp_path / "s"), "--at", "a=1,b=10", "--replay"]) == 2
    said = capsys.readouterr().err
    assert "problem = 'mine': must be one of phasejax; for one of your own, use" in said
    assert "phasejax.replay" in said
    assert cli.main(["info", str(tmp_path / "s"), "--replay"]) == 2
    assert "--replay needs a cell: give --at too" in capsys.readouterr().err
