"""Bad input gives one clear line that names the argument, its value and what is allowed."""

import os
import subprocess
import sys

import jax.numpy as jnp
import optax
import pytest

import phasejax as pj
from phasejax import cli

A_B = {"a": [1.0, 2.0], "b": [1.0, 2.0]}


@pytest.fixture(autouse=True)
def nothing_computes(on_advance):
    def computed(*_):
        raise AssertionError("a step was computed before the input was refused")

    on_advance(computed)


CASES = {
    "a beyond 1 / learning_rate": (
        {"grid": {"a": [1.0, 2000.0], "b": 1.0}},
        r"a = 2000.0: must be .* at most 1 / learning_rate = 1000",
    ),
    "learning_rate makes b too large": (
        {"grid": A_B | {"b": [1.0, 50.0], "learning_rate": [1e-3, 0.1]}},
        "b = 50.0: must be .* at most 1 / learning_rate = 10",
    ),
    "zero a": ({"grid": {"a": [0.0, 2.0], "b": 1.0}}, "a = 0.0"),
    "negative b": ({"grid": {"a": [1.0, 2.0], "b": -1.0}}, "b = -1.0"),
    "unknown axis": (
        {"grid": A_B | {"learning_rat": 1e-3}},
        "hyper-parameter of adam = 'learning_rat': unknown; did you mean 'learning_rate'",
    ),
    "missing b": ({"grid": {"a": [1.0, 2.0]}}, "b is missing: adam needs it"),
    "no steps": ({"steps": 0}, "steps = 0: must be an integer, at least 1"),
    "fewer steps than windows": ({"steps": 100}, "steps = 100: must be at least windows = 256"),
    "few windows": ({"windows": 2}, "windows = 2"),
    "dtype": ({"dtype": "float16"}, "dtype = 'float16': unknown; did you mean"),
    "no cells": ({"block_size": 0}, "block_size = 0"),
    "overwrite and resume": ({"overwrite": True, "resume": True}, "overwrite and resume exclude"),
    "vector loss": (
        {"problem": pj.Problem(lambda x: x, lambda key: jnp.ones(3))},
        r"loss of problem .* returned shape \(3,\) .* one floating-point scalar",
    ),
    "integer loss": (
        {"problem": pj.Problem(lambda x: jnp.ones((), int), lambda key: jnp.ones(3))},
        "dtype int64; it must return one floating-point scalar",
    ),
    "infinite loss": (
        {"problem": pj.Problem(lambda x: 1 / jnp.sum(0 * x), lambda key: jnp.ones(3), name="inv")},
        "loss of problem 'inv' is inf at the start; it must be finite",
    ),
    "a loss below the minimum": (
        {"problem": pj.Problem(lambda x: -jnp.sum(x), lambda key: jnp.ones(3), minimum=0.0)},
        "is -3.0 at the start .* below the problem.s minimum 0",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_python_raises_a_value_error(name):
    arguments, message = CASES[name]
    grid = pj.Grid(**arguments.get("grid", A_B))
    rest = {key: value for key, value in arguments.items() if key != "grid"}
    call = {"problem": pj.problems.quadratic(), "dynamics": pj.adam, "grid": grid} | rest
    with pytest.raises(ValueError, match=message) as error:
        pj.sweep(**call)
    assert "\n" not in str(error.value)


def test_python_raises_a_type_error():
    """In a separate process without the type checker, which would raise first."""
    script = """
import jax.numpy as jnp, phasejax as pj
problem, grid = pj.problems.quadratic(), pj.Grid(a=[1.0, 2.0], b=1.0)
scalar, point = lambda x: x[0], lambda key: jnp.ones(1)
CASES = [
    (lambda: pj.sweep(scalar, pj.adam, grid), "must be a phasejax.Problem"),
    (lambda: pj.sweep(problem, "adam", grid), "dynamics = 'adam' must be a function"),
    (lambda: pj.sweep(problem, lambda a, b: None, grid), "returned NoneType"),
    (lambda: pj.sweep(problem, pj.adam, {"a": [1.0]}), "must be a phasejax.Grid"),
    (lambda: pj.sweep(pj.Problem(scalar, lambda key: []), pj.adam, grid), "must return a PyTree"),
    (lambda: pj.sweep(problem, pj.adam, grid, steps=256.5), "steps = 256.5: must be an integer"),
    (lambda: pj.Problem(scalar, 3), "init = 3 must be a function"),
]
for call, message in CASES:
    try:
        call()
    except (TypeError, ValueError) as error:
        assert message in str(error), error
    else:
        raise SystemExit(f"no error: {message}")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_existing_store_needs_a_decision(tmp_path):
    (tmp_path / "s").mkdir()
    with pytest.raises(ValueError, match=r"store = .* a new path, or given with"):
        pj.sweep(pj.problems.quadratic(), pj.adam, pj.Grid(**A_B), steps=256, store=tmp_path / "s")


def test_an_unwritable_folder_is_refused_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"store = .*: must be a folder that can be written"):
        pj.sweep(pj.problems.quadratic(), pj.adam, pj.Grid(**A_B), store=tmp_path / "file" / "s")


def test_errors_of_optax_reach_the_user():
    with pytest.raises(ValueError, match="'weight_decai': unknown; did you mean 'weight_decay'"):
        pj.sweep(
            pj.problems.quadratic(), optax.adamw, pj.Grid(weight_decai=[0.1, 1], learning_rate=1)
        )


COMMANDS = {
    "--a 1:2000:3 --b 1": "--a = 2000.0: must be greater than 0 and at most 1 / learning_rate",
    "--a 0:10:3 --b 1": "--a = '0:10:3': must be LOW:HIGH:COUNT",
    "--a -1 --b 1:2:3": "--a = -1.0",
    "--a 5:1:3 --b 1": "--a = '5:1:3': must be LOW:HIGH:COUNT with numbers LOW < HIGH",
    "--a 5:5:3 --b 1": "LOW < HIGH",
    "--a 1:5:1 --b 1": "COUNT at least 2",
    "--a 1:5 --b 1": "LOW:HIGH:COUNT",
    "--a 1:x:5 --b 1": "--a = '1:x:5'",
    "--a x --b 1": "--a = 'x'",
    "--a 1,x --b 1": "--a = '1,x'",
    "--a 1:5:3": "--b is missing: adam needs it",
    "--a 1:5:3 --b 1 --problem digit": "--problem = 'digit': unknown; did you mean 'digits'",
    "--a 1:5:3 --b 1 --problem-arg sampels=3": "sampels",
    "--a 1:5:3 --b 1 --problem-arg samples": "--problem-arg = 'samples': must be NAME=VALUE",
    "--a 1:5:3 --b 1 --problem nofile.py:f": "there is no such file",
    "--a 1:5:3 --b 1 --optimizer adom": "--optimizer = 'adom': unknown; did you mean 'adam'",
    "--a 1:5:3 --b 1 --axis bb=1": "'bb': unknown; did you mean",
    "--a 1:5:3 --b 1 --steps 0": "--steps = 0: must be an integer, at least 1",
    "--a 1:5:3 --b 1 --steps ten": "--steps",
    "--a 1:5:3 --b 1 --steps 100": "--steps = 100: must be at least windows = 256",
    "--a 1:5:3 --b 1 --learning-rate 0": "--learning-rate = 0.0",
    "--a 1:5:3 --b 1 --eps -1": "--eps = -1.0",
    "--a 1:5:3 --b 1 --dtype half": "--dtype = 'half'",
    "--a 1:5:3 --b 1 --seed 1.5": "--seed = 1.5",
    "--a 1:5:3 --b 1 --store /dev/null/x": "--store = '/dev/null/x': must be a folder that can be",
    "--a 1:5:3 --b 1 --store .": "--store = '.': must be a new path",
    "--a 1:5:3 --b 1 --stpes 5": "--stpes",
}


@pytest.mark.parametrize("arguments", COMMANDS)
def test_the_command_line_exits_2_with_one_line(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = [] if "--problem " in arguments else ["--problem", "quadratic"]
    code = cli.main(["sweep", *quick, *arguments.split()])
    output = capsys.readouterr()
    assert code == 2
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert COMMANDS[arguments] in output.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    ["info nowhere", "plot nowhere", "view nowhere", "classify nowhere", "info .", "nonsense"],
)
def test_other_commands_exit_2_with_one_line(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments.split()) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_store_in_a_read_only_folder_is_refused(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="store = "):
        pj.sweep(pj.problems.quadratic(), pj.adam, pj.Grid(**A_B), store=tmp_path / "s")


def test_a_real_process_prints_no_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "phasejax", "sweep", "--a", "0:1:1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: --a = '0:1:1'")
    assert done.stderr.count("\n") == 1
