"""A sweep is resumed only if it computes the same; identities are equal between processes."""

import functools
import importlib
import os
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import phasejax as pj
from phasejax.identity import identify

from .compiled import programs

GRID = pj.Grid(a=[1.0, 10.0], b=[1.0, 10.0])
SHORT: dict[str, Any] = {"steps": 64, "windows": 8}


def ones(key):
    return jnp.ones(2)


def squares(data, params):
    return jnp.sum((params - data) ** 2)


def enclosing(data):
    """A problem whose loss encloses its data in a closure."""
    return pj.Problem(lambda params: squares(data, params), ones, "own")


DATA = np.array(0.0)
SCALE: Any = 1.0


def of_a_global():
    return pj.Problem(lambda params: squares(DATA, params), ones, "own")


def batches(scale):
    return pj.Problem(
        lambda params: jnp.sum(params**2),
        ones,
        "own",
        batch_loss=lambda params, key: scale * jnp.sum(params**2),
    )


def scalar(number):
    """A constant scalar, whose value the text of a trace does not show."""
    constant = jnp.array(number)
    return pj.Problem(lambda params: squares(constant, params), ones, "own")


def drawn_with(seed):
    key = jax.random.key(seed)
    return pj.Problem(lambda x: jnp.sum((x - jax.random.normal(key, (2,))) ** 2), ones, "own")


def called_back(table):
    def look_up(x):
        return np.float32(table[0]) * np.asarray(x)

    def loss(x):
        kind = jax.ShapeDtypeStruct((), np.float32)
        factor = jax.pure_callback(look_up, kind, np.float32(1), vmap_method="sequential")
        return jax.lax.stop_gradient(factor).astype(x.dtype) * jnp.sum(x**2)

    return pj.Problem(loss, ones, "own")


CHANGED = {
    "a scalar of JAX": (lambda: scalar(1.0), lambda: scalar(-1.0)),
    "a key of jax.random": (lambda: drawn_with(0), lambda: drawn_with(1)),
    "a table of a callback": (lambda: called_back([1.0]), lambda: called_back([2.0])),
    "data in a closure": (lambda: enclosing(1.0), lambda: enclosing(3.0)),
    "an array in a closure": (lambda: enclosing(np.ones(2)), lambda: enclosing(np.zeros(2))),
    "data in leaves": (
        lambda: pj.Problem(jax.tree_util.Partial(squares, np.ones(2)), ones, "own"),
        lambda: pj.Problem(jax.tree_util.Partial(squares, np.zeros(2)), ones, "own"),
    ),
    "the function, equal at the start": (
        lambda: pj.Problem(lambda params: jnp.sum(params**2), ones, "own"),
        lambda: pj.Problem(lambda params: jnp.sum(jnp.abs(params) ** 4), ones, "own"),
    ),
    "the mini-batch loss alone": (lambda: batches(1.0), lambda: batches(2.0)),
    "the starting point": (
        lambda: enclosing(0.0),
        lambda: pj.Problem(lambda params: squares(0.0, params), lambda key: -jnp.ones(2), "own"),
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_problem_that_changed_is_not_resumed(what, tmp_path):
    first, second = CHANGED[what]
    pj.sweep(first(), pj.adam, GRID, **SHORT, store=tmp_path / "s")
    pj.sweep(first(), pj.adam, GRID, **SHORT, store=tmp_path / "s", resume=True)
    with pytest.raises(ValueError, match=r"problem_fingerprint differs, .* has changed"):
        pj.sweep(second(), pj.adam, GRID, **SHORT, store=tmp_path / "s", resume=True)


def test_a_changed_global_is_not_resumed_and_compiles_again(tmp_path, monkeypatch):
    """The function object is the same, and JAX has it compiled with the old data."""
    problem = of_a_global()
    pj.sweep(problem, pj.adam, GRID, **SHORT, store=tmp_path / "s")
    monkeypatch.setitem(globals(), "DATA", np.array(3.0))
    with pytest.raises(ValueError, match="problem_fingerprint differs"):
        pj.sweep(problem, pj.adam, GRID, **SHORT, store=tmp_path / "s", resume=True)
    dataset = pj.sweep(problem, pj.adam, GRID, **SHORT)
    assert float(dataset.initial_loss) == 8.0
    expected = pj.sweep(enclosing(3.0), pj.adam, GRID, **SHORT)
    np.testing.assert_array_equal(dataset.loss_min, expected.loss_min)


def scaled(scale):
    def own(a, b):
        return optax.chain(pj.adam(a, b), optax.scale(scale))

    return own


@pytest.mark.parametrize("kind", ["float", "jax", "numpy", "key"])
@pytest.mark.parametrize("flow", [False, True])
def test_a_global_of_an_optimizer_that_changed_is_seen(kind, flow, monkeypatch, tmp_path):
    make = {"float": float, "jax": jnp.array, "numpy": np.array, "key": jax.random.key}[kind]

    def factor():
        return jax.random.uniform(SCALE) if kind == "key" else SCALE

    def own(a):
        if not flow:
            return optax.sgd(0.1 * a * factor())
        return pj.VectorField(
            lambda x: (), lambda t, g, s: (jax.tree.map(lambda g: -a * factor() * g, g), ())
        )

    def run(**more):
        budget: dict[str, Any] = {"time": 1.0, "windows": 8} if flow else SHORT
        dynamics = pj.Flow(own, solver="bosh3") if flow else own  # the one that compiles fastest
        return pj.sweep(enclosing(0.0), dynamics, pj.Grid(a=[1.0, 2.0]), **budget, **more)

    monkeypatch.setitem(globals(), "SCALE", make(1))
    first = run(store=tmp_path / "s")
    monkeypatch.setitem(globals(), "SCALE", make(2))
    assert (run().loss_mean != first.loss_mean).any()
    with pytest.raises(ValueError, match="optimizer_fingerprint differs"):
        run(store=tmp_path / "s", resume=True)


def test_data_changed_in_place_are_seen_in_both_precisions():
    data = np.ones(2)
    problem = pj.Problem(lambda x: jnp.sum((x - data) ** 2), lambda key: jnp.zeros(2), "own")
    for dtype in ("float64", "float32"):
        data[:] = 1.0
        for expected in (2.0, 18.0):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = pj.sweep(problem, pj.adam, GRID, **SHORT, dtype=dtype)
            assert float(dataset.initial_loss) == expected
            np.testing.assert_allclose(dataset.loss_max.isel(window=0), expected, rtol=1e-6)
            data[:] = 3.0


def test_workers_compute_with_the_current_values(tmp_path, monkeypatch):
    """A number in a module changes between two sweeps by threads; it differs in a new process."""
    (tmp_path / "of_a_module.py").write_text(
        "import jax.numpy as jnp\nC = 1.0\n"
        "def loss(x): return jnp.sum((x - C) ** 2)\ndef init(key): return jnp.zeros(2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module: Any = importlib.import_module("of_a_module")
    problem = pj.Problem(module.loss, module.init, "own")
    with ThreadPoolExecutor(1) as executor:
        for c, expected in ((1.0, 2.0), (3.0, 18.0)):
            module.C = c
            dataset = pj.sweep(problem, pj.adam, GRID, **SHORT, executor=executor)
            assert float(dataset.loss_max.isel(a=0, b=0, window=0)) == expected
    monkeypatch.setenv("PYTHONPATH", str(tmp_path) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as executor,
        pytest.warns(RuntimeWarning, match="this worker computes something else"),
    ):
        pj.sweep(problem, pj.adam, GRID, **SHORT, executor=executor)


def test_an_optimizer_with_another_body_is_not_resumed(tmp_path):
    problem = pj.problems.quadratic()
    pj.sweep(problem, scaled(1.0), GRID, **SHORT, store=tmp_path / "s")
    pj.sweep(problem, scaled(1.0), GRID, **SHORT, store=tmp_path / "s", resume=True)
    with pytest.raises(ValueError, match=r"optimizer_fingerprint differs, .* function has changed"):
        pj.sweep(problem, scaled(2.0), GRID, **SHORT, store=tmp_path / "s", resume=True)


def test_initial_losses_of_another_machine_may_differ_in_the_last_digits(tmp_path):
    import zarr

    problem = pj.problems.quadratic()
    dataset = pj.sweep(problem, pj.adam, GRID, **SHORT, store=tmp_path / "s")
    for factor, same in [(1 + 1e-9, True), (1 + 1e-3, False)]:
        array = zarr.open_array(tmp_path / "s" / "initial_loss", mode="r+")
        array[...] = float(dataset.initial_loss) * factor
        if same:
            pj.sweep(problem, pj.adam, GRID, **SHORT, store=tmp_path / "s", resume=True)
        else:
            with pytest.raises(ValueError, match="initial_loss differs"):
                pj.sweep(problem, pj.adam, GRID, **SHORT, store=tmp_path / "s", resume=True)


SETTINGS = """
import functools, sys
import jax.numpy as jnp, numpy as np, optax, phasejax as pj

DECAY = optax.exponential_decay(0.1, 10, 0.5)
ONES = np.ones(2)


class Rate:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, count):
        return self.rate


MASK = {"w": True, "b": False}
problem = pj.Problem(lambda p: jnp.sum(p["w"] ** 2) + p["b"] ** 2,
                     lambda key: {"w": jnp.ones(2), "b": jnp.ones(())}, "own")


def with_schedule(momentum, schedule, other, names, clip=lambda x: x in {"a", "b"}, scale=ONES):
    return optax.sgd(schedule, momentum)


arguments = {"steps": 64, "windows": 8, "store": sys.argv[1], "resume": len(sys.argv) > 2}
others = {"other": Rate(0.1), "names": {"x", "y", "z"}}
grid = pj.Grid(momentum=[0.0, 0.5], schedule=DECAY, **others)
pj.sweep(problem, with_schedule, grid, **arguments)
arguments["store"] += ".masked"
masked = functools.partial(optax.adamw, mask=MASK)
pj.sweep(problem, masked, pj.Grid(learning_rate=[0.1, 0.2]), **arguments)
"""


def test_identities_of_functions_schedules_and_masks_are_equal_in_another_process(tmp_path):
    """The other process resumes the sweep."""
    (tmp_path / "script.py").write_text(SETTINGS)
    for words in ([], ["resume"]):
        command = [sys.executable, "script.py", "s", *words]
        subprocess.run(command, check=True, cwd=tmp_path)
    fixed = pj.open_dataset(tmp_path / "s").attrs["fixed"]
    assert fixed["schedule"].startswith("optax.schedules._schedule.exponential_decay.<locals>.")
    assert "0x" not in str(fixed)
    assert pj.open_dataset(tmp_path / "s.masked").attrs["fixed"]["mask"] == {"w": True, "b": False}


def test_identities_differ_with_the_content():
    def same_name(data):
        return lambda x: x + data

    things = [
        *(1, 1.5, "1", None, (1, 2), {"a": 1}, jnp.tanh, jax.nn.relu, optax.adam),
        *(np.ones(2), np.ones(3), np.ones(2, np.float32), np.zeros(2)),
        *(same_name(1), same_name(2), same_name(np.ones(2)), lambda x: x, lambda x: -x),
        *(functools.partial(optax.adam, b1=0.5), functools.partial(optax.adam, b1=0.6)),
        *(optax.constant_schedule(1.0), optax.constant_schedule(2.0)),
    ]
    identities = [str(identify(thing)) for thing in things]
    assert identify(True) is True
    assert len(set(identities)) == len(things) - 1  # 1 and "1" have the same identity here
    assert identify(same_name(1)) == identify(same_name(1))
    assert identify(optax.adam) == "optax._src.alias.adam"
    assert not any("0x" in identity for identity in identities)


def test_other_data_of_the_same_shape_do_not_compile_again():
    """The digest of the trace leaves out the data that are arguments of the program."""

    def problem(data):
        return pj.Problem(jax.tree_util.Partial(squares, data), ones, "own")

    pj.sweep(problem(np.ones(2)), pj.adam, GRID, **SHORT)
    before = programs()
    pj.sweep(problem(np.zeros(2)), pj.adam, GRID, **SHORT)
    assert programs() == before


@pytest.mark.parametrize("name", ["quadratic", "power", "digits", "adam"])
def test_a_problem_is_built_in_by_its_computation_and_not_by_its_name(name):
    own = pj.Problem(lambda x: jnp.sum(x**2), ones, name)
    attrs = pj.sweep(own, pj.adam, GRID, **SHORT).attrs
    assert (attrs["problem"], attrs["problem_builtin"]) == (name, "")
    known = pj.problems.quadratic((2.0, 0.5))
    assert pj.sweep(known, pj.adam, GRID, **SHORT).attrs["problem_builtin"] == "quadratic"
