"""Whole sweeps: right, repeatable, compiled once, and safe to cut off."""

import contextlib
import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

import phasejax as pj
from phasejax.envelope import LOSSES, Envelope, of_curve
from phasejax.problems.problem import initial_params
from phasejax.regimes import NAMES, label_attributes
from phasejax.results import store as store_module

from .compiled import programs
from .serial import Serial, fail_at, interrupt_at


def losses_one_by_one(problem, optimizer, steps, seed=0):
    """A plain Python loop over optax: no scan, no vmap, no windows."""
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, initial_params(problem, seed))
        state = optimizer.init(params)

        @jax.jit
        def step(params, state):
            loss, grad = jax.value_and_grad(problem.loss)(params)
            updates, state = optimizer.update(grad, state, params)
            return optax.apply_updates(params, updates), state, loss

        losses = []
        for _ in range(steps):
            params, state, loss = step(params, state)
            losses.append(float(loss))
        return np.array(losses)


def assert_same(one, two):
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_every_cell_is_the_run_one_would_write_by_hand(small):
    small["steps"] = 700  # no multiple of the windows
    dataset = pj.sweep(**small)
    for a in (1.0, 100.0):
        for b in (1.0, 100.0):
            optimizer = optax.adam(1e-3, b1=1 - b / 1e3, b2=1 - a / 1e3)
            loss = losses_one_by_one(small["problem"], optimizer, 700)
            expected = of_curve(loss, small["windows"])
            cell = dataset.sel(a=a, b=b, method="nearest")
            for name in LOSSES:
                values = getattr(expected, name)
                np.testing.assert_allclose(cell[name], values, rtol=1e-7, atol=1e-9, err_msg=name)
            assert NAMES[int(cell.regime)] == str(pj.classify_curve(loss))


def test_seed_is_an_axis(small):
    small["grid"] = pj.Grid(seed=[3, 5], a=[1.0, 10.0], b=10.0)
    dataset = pj.sweep(**small)
    assert dataset.loss_min.dims == ("seed", "a", "window")
    for seed in (3, 5):
        loss = losses_one_by_one(small["problem"], pj.adam(10.0, 10.0), small["steps"], seed)
        assert float(dataset.initial_loss.sel(seed=seed)) == pytest.approx(loss[0], rel=1e-14)
        np.testing.assert_allclose(
            dataset.loss_mean.sel(seed=seed, a=10.0), of_curve(loss, 64).loss_mean, rtol=1e-7
        )


def test_any_optax_optimizer_sweeps_its_own_arguments(small):
    small["dynamics"] = optax.adamw
    small["grid"] = pj.Grid(
        b1=pj.linear_axis(0.0, 0.9, 3), weight_decay=[0.0, 0.1], learning_rate=0.01, nesterov=True
    )
    dataset = pj.sweep(**small)
    optimizer = optax.adamw(0.01, b1=0.9, weight_decay=0.1, nesterov=True)
    loss = losses_one_by_one(small["problem"], optimizer, small["steps"])
    np.testing.assert_allclose(
        dataset.loss_mean.sel(b1=0.9, weight_decay=0.1), of_curve(loss, 64).loss_mean, rtol=1e-7
    )
    assert dataset.attrs["fixed"]["nesterov"] is True
    assert dataset.attrs["fixed"]["b2"] == 0.999  # optax's default, recorded


def test_partial_and_optimizers_that_want_the_value_work(small):
    small["dynamics"] = functools.partial(optax.polyak_sgd, scaling=1.0)
    small["grid"] = pj.Grid(max_learning_rate=[0.5, 1.0])
    assert np.all(pj.sweep(**small)["late_level"] < -10)


def test_own_problem_is_two_functions(small):
    small["problem"] = pj.Problem(
        loss=lambda params: jnp.sum((params["w"] - 1) ** 4) + params["c"] ** 2,
        init=lambda key: {"w": jax.random.normal(key, (3,)), "c": jnp.ones(())},
    )
    assert (pj.sweep(**small).regime >= 0).all()


def test_a_repeat_is_bit_identical(small):
    small["problem"] = pj.problems.digits(samples=16, hidden=(4,))
    assert_same(pj.sweep(**small), pj.sweep(**small))


def test_another_grid_and_other_data_of_the_same_shape_compile_nothing(small):
    small["grid"] = pj.Grid(a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.0, 4.0], learning_rate=1e-3)
    pj.sweep(**small)
    traced = []

    def listener(event, duration_secs, **_):
        traced.append(event)

    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        small["grid"] = pj.Grid(a=[2.0, 5.0, 7.0], b=[1.5, 2.5, 3.5, 4.5], learning_rate=5e-3)
        small["problem"] = pj.problems.quadratic((7.0, 0.3))
        small["steps"] = 900
        pj.sweep(**small)
        same_shape = [name for name in traced if "backend_compile" in name]
        jax.jit(lambda x: 3 * x + 7)(np.arange(5))  # the listener does hear a compilation
        other_program = [name for name in traced if "backend_compile" in name]
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)
    assert same_shape == []
    assert other_program


def test_one_program_runs_a_whole_sweep(small, small_tasks):
    """Eleven tiles, the last of them smaller, call one compiled program."""
    before = programs()
    small["problem"] = pj.problems.quadratic((1.0, 2.0, 3.0))
    small["grid"] = pj.Grid(a=np.arange(1.0, 12.0), b=[1.0, 2.0, 3.0])
    pj.sweep(**small, block_size=2)
    assert programs() == before + 1


def test_results_carry_their_configuration(small, tmp_path):
    pj.sweep(**small, store=tmp_path / "s")
    dataset = xr.open_zarr(tmp_path / "s")
    assert dataset.loss_min.dims == dataset.log10_loss_mean.dims == ("a", "b", "window")
    assert dataset.regime.dims == ("a", "b")
    assert np.issubdtype(dataset.regime.dtype, np.integer)
    assert list(dataset.regime.attrs["flag_values"]) == [0, 1, 2, 3, 4]
    assert dataset.regime.attrs["flag_meanings"].split() == list(NAMES)
    for name in (
        "problem",
        "optimizer",
        "steps",
        "windows",
        "dtype",
        "device",
        "slots",
        "seeds",
        "unit",
        "horizon",
    ):
        assert name in dataset.attrs
    assert (dataset.attrs["unit"], dataset.attrs["horizon"]) == ("step", 640)
    assert dataset.attrs["fixed"] == {"learning_rate": 1e-3, "eps": 1e-8, "eps_root": 0.0}
    assert dataset.attrs["jax_version"] == jax.__version__
    assert dataset.attrs["axes"]["a"]["values"] == pytest.approx([1, 10, 100])
    assert (tmp_path / "s" / "zarr.json").exists()  # Zarr v3


def test_a_sweep_that_was_cut_off_resumes_to_the_same_bits(small, tmp_path, small_tasks):
    whole = pj.sweep(**small, block_size=1)
    with pytest.raises(KeyboardInterrupt):
        pj.sweep(**small, store=tmp_path / "s", block_size=1, executor=interrupt_at(4))
    partial = pj.open_dataset(tmp_path / "s")
    assert 0 < int((partial.regime >= 0).sum()) < small["grid"].size
    counting = Serial()
    resumed = pj.sweep(**small, store=tmp_path / "s", resume=True, block_size=1, executor=counting)
    assert counting.tasks == 3  # of six tiles
    assert_same(resumed, whole)


def test_a_loss_with_a_fourier_transform_runs():
    """XLA takes no other layout of its operands than its own."""
    problem = pj.Problem(
        lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 2) / 8, lambda key: jnp.linspace(0.1, 1, 8)
    )
    dataset = pj.sweep(problem, pj.adam, pj.Grid(a=[1.0, 10.0], b=10.0), steps=64, windows=8)
    assert dataset.attrs["failures"] == []
    assert (dataset["loss_max"][:, -1] < dataset["loss_max"][:, 0]).all()


def test_cells_cut_off_between_their_variables_are_not_there(small, tmp_path, monkeypatch):
    """A kill can come after any write: none may leave cells that look done and lack values.

    The first half of a tile is there already, and stays, whatever happens to the second.
    """
    small["store"] = tmp_path / "run.zarr"
    dataset = pj.sweep(**small).load()
    labels = {name: dataset[name].values.ravel() for name in label_attributes()}
    curves = {name: dataset[name].values.reshape(12, -1) for name in Envelope._fields}

    def part(first, last):
        chosen = slice(first, last)
        return (
            np.arange(first, last),
            {name: values[chosen] for name, values in curves.items()},
            {name: values[chosen] for name, values in labels.items()},
        )

    put, writes = store_module._put, len(labels) + len(curves) + 1
    coords = dataset.drop_vars([*Envelope._fields, *labels, "status"])
    for allowed in (*range(0, writes, 6), writes - 2, writes - 1, writes):
        store = store_module.Store(tmp_path / f"cut_{allowed}.zarr")
        store.create(coords, {name: {} for name in curves}, label_attributes())
        store.write(*part(0, 6))
        left = iter(range(allowed))

        def cut_off(*arguments, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            put(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(store_module, "_put", cut_off)
            with contextlib.suppress(KeyboardInterrupt):
                store.write(*part(6, 12))
        done = store.computed()
        assert done[:6].all()
        assert (done[6:] == (allowed == writes)).all()
        left_behind = store.open().load()
        for name in (*labels, *Envelope._fields):
            found = left_behind[name].values.reshape(12, -1)
            np.testing.assert_array_equal(found[:6], dataset[name].values.reshape(12, -1)[:6])
        regime = left_behind.regime.values.ravel()
        assert (regime[6:] == -1).all() or allowed >= writes - 1  # seen when all else is there


def test_a_failed_tile_leaves_the_others_intact(small, tmp_path, small_tasks):
    whole = pj.sweep(**small, block_size=1)
    failing = fail_at(2, RuntimeError("out of memory"))
    with pytest.warns(RuntimeWarning, match="1 tasks failed, .* out of memory"):
        dataset = pj.sweep(**small, store=tmp_path / "s", block_size=1, executor=failing)
    lost = dataset.regime == -1
    assert int(lost.sum()) == 2
    np.testing.assert_array_equal(dataset.regime.where(~lost), whole.regime.where(~lost))
    assert pj.regime_counts(dataset)["unlabelled"] == 2
    assert "out of memory" in dataset.attrs["failures"][0]
    assert_same(pj.sweep(**small, store=tmp_path / "s", resume=True, block_size=1), whole)


def test_resume_refuses_another_configuration(small, tmp_path):
    pj.sweep(**small, store=tmp_path / "s")
    small["steps"] = 700
    with pytest.raises(ValueError, match="steps differs, 640 in the store and 700 now"):
        pj.sweep(**small, store=tmp_path / "s", resume=True)


def test_overwrite_replaces_a_store_and_nothing_else(small, tmp_path):
    pj.sweep(**small, store=tmp_path / "s")
    small["steps"] = 700
    assert pj.sweep(**small, store=tmp_path / "s", overwrite=True).attrs["steps"] == 700
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"store = .*precious.*: must be a Zarr v3 group"):
        pj.sweep(**small, store=tmp_path / "precious", overwrite=True)
    assert (tmp_path / "precious" / "file").read_text() == "mine"


def test_float32_warns_and_starts_at_the_same_point(small):
    double = pj.sweep(**small)
    with pytest.warns(UserWarning, match="rounding"):
        single = pj.sweep(**small, dtype="float32")
    assert single.loss_mean.dtype == np.float32
    np.testing.assert_allclose(single.loss_max[..., 0], double.loss_max[..., 0], rtol=1e-5)


def test_diverged_cells_do_not_disturb_their_neighbours(small):
    small["dynamics"] = optax.sgd
    small["grid"] = pj.Grid(learning_rate=[0.5, 1e3])
    small["problem"] = pj.problems.power(4)
    dataset = pj.sweep(**small)
    assert [NAMES[code] for code in dataset.regime.values] == ["descending", "divergence"]


def test_classify_repeats_the_labels_of_the_sweep(small):
    dataset = pj.sweep(**small)
    again = pj.classify(dataset.drop_vars(["regime", "margin"]))
    for name in ("regime", "margin", "late_level"):
        np.testing.assert_array_equal(again[name], dataset[name])


def test_import_changes_no_state_of_jax():
    script = (
        "import jax; before = dict(jax.config.values)\n"
        "import phasejax, jax.numpy as jnp\n"
        "assert dict(jax.config.values) == before\n"
        "assert jnp.ones(1).dtype == 'float32'\n"
        "phasejax.sweep(phasejax.problems.quadratic(), phasejax.adam, "
        "phasejax.Grid(a=[1., 2.], b=1.), steps=64, windows=8)\n"
        "assert dict(jax.config.values) == before\n"
        "assert jnp.ones(1).dtype == 'float32' and len(jax.devices()) == 1\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


class Unending(pj.Optimizer):
    """An optimizer whose cells are run to the end, whatever they have come to."""

    def ended(self, loss, hyper, state):
        return jnp.zeros((), bool)


@pytest.fixture
def block_steps(on_advance):
    """Steps × blocks that a device is asked to run: what a sweep costs."""
    asked = []
    on_advance(lambda *given: asked.append(int(given[-1]) * int(given[-2].sum())))
    return asked


def test_diverged_cells_stop_costing_and_nothing_else_changes(small, block_steps, short_segments):
    """A third of the cells overflow in the first tenth: at most 0.75 of the work is left."""
    rates = np.concatenate([np.linspace(0.1, 1.0, 42), np.linspace(100.0, 300.0, 22)])
    small |= {"dynamics": optax.sgd, "steps": 2560, "block_size": 2}
    small["grid"] = pj.Grid(learning_rate=np.random.default_rng(0).permutation(rates))
    retired, cost = pj.sweep(**small), sum(block_steps)
    block_steps.clear()
    plain = pj.sweep(**small | {"dynamics": Unending(optax.sgd)})
    assert cost <= 0.75 * sum(block_steps)
    assert_same(retired, plain)
    assert (plain.loss_mean.isel(window=6) == np.inf).sum() == 22  # a tenth of 64 windows


def test_cells_that_reached_zero_exactly_stop_costing(small, block_steps, short_segments):
    """RMSprop with ε = 0 and a long memory underflows; Adam's momentum keeps a cell going."""
    small["problem"] = pj.problems.quadratic((1.0,), (0.5,))
    small["grid"] = pj.Grid(a=[0.5, 1.0, 900.0], eps=0.0, learning_rate=1e-3)
    small |= {"dynamics": pj.rmsprop, "steps": 12_800, "block_size": 1}
    dataset, cost = pj.sweep(**small), sum(block_steps)
    assert list(dataset.loss_max.isel(window=-1) == 0) == [True, True, False]
    assert list(dataset.log10_loss_mean.isel(window=-1) == -np.inf) == [True, True, False]
    block_steps.clear()
    assert_same(dataset, pj.sweep(**small | {"dynamics": Unending(pj.rmsprop)}))
    assert cost < sum(block_steps)


@pytest.mark.parametrize("problem", ["quadratic", "digits"])
def test_a_cell_keeps_its_bits_wherever_in_the_batch_it_is(small, problem):
    small["problem"] = {
        "quadratic": small["problem"],
        "digits": pj.problems.digits(samples=16, hidden=(4,)),
    }[problem]
    values = pj.log_axis(1, 300, 24).values
    order = np.random.default_rng(1).permutation(24)
    small |= {"grid": pj.Grid(a=list(values), b=10.0), "block_size": 4}
    plain = pj.sweep(**small)
    small["grid"] = pj.Grid(a=[values[i] for i in order], b=10.0)
    assert_same(plain.isel(a=order), pj.sweep(**small))


ON_DEVICES = """
import sys
import numpy as np, phasejax as pj
pj.use_compilation_cache()
inputs = np.random.default_rng(0).standard_normal((16, 8))
network = pj.problems.network(inputs, np.sign(inputs[:, 0]), hidden=(4,))
grid = pj.Grid(a=pj.log_axis(1, 300, 32), b=10.0)
how = {"windows": 16, "block_size": 4}
pj.sweep(network, pj.adam, grid, steps=640, store=sys.argv[1] + "/optimizer", **how)
if sys.argv[2:] != ["1"]:
    flow = pj.Flow(pj.adam_flow, solver="tsit5")
    grid = pj.Grid(a=pj.log_axis(1, 300, 32), b=20.0, eps_root=1e-6)
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    pj.sweep(problem, flow, grid, time=8.0, store=sys.argv[1] + "/flow", **how)
"""


def test_one_two_and_eight_devices_give_the_same_bits(tmp_path):
    """The block is the same, so the bits are, whichever device computed a cell.

    For a single device, a flow's program is compiled otherwise, and rounds otherwise.
    """
    for count in "128":
        flags = f"--xla_force_host_platform_device_count={count}"
        command = [sys.executable, "-c", ON_DEVICES, str(tmp_path / count), count]
        subprocess.run(command, check=True, env=os.environ | {"XLA_FLAGS": flags})
    for name, others in (("optimizer", "12"), ("flow", "2")):
        eight = pj.open_dataset(tmp_path / "8" / name)
        assert eight.attrs["device"].startswith("8 x")
        for count in others:
            assert_same(pj.open_dataset(tmp_path / count / name), eight)


def peak_gb(script):
    """Most memory that a process of its own ever held."""
    script += "\nprint([line for line in open('/proc/self/status') if 'VmHWM' in line][0])"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout.split()[-2]) / 1e6


def test_a_million_cells_need_little_memory_to_write_and_less_to_open(tmp_path):
    """The values of 1,048,576 cells, 0.9 GB, are never together in memory."""
    path = str(tmp_path / "s.zarr")
    written = peak_gb(
        "import phasejax as pj\n"
        "pj.use_all_cores()\n"
        "axis = pj.log_axis(0.3, 300, 1024)\n"
        "pj.sweep(pj.problems.quadratic((1., .1), (1., 1.)), pj.adam, pj.Grid(a=axis, b=axis),\n"
        f"    steps=64, windows=16, store={path!r})\n"
    )
    assert written < 1  # 0.5 on two cores
    opened = peak_gb(
        "import xarray as xr\n"
        f"dataset = xr.open_zarr({path!r}, chunks=None)\n"
        "assert dataset.regime.size == 1_048_576\n"
        "assert float(dataset.loss_max.isel(a=3, b=5, window=2)) > 0\n"
        "print(sum(v.nbytes for v in dataset.values()) / 1e9)\n"
    )
    assert opened < 0.3
