"""Errors of a user's FILE.py name the file and the line; those of the package name flags."""

import pytest

import phasejax as pj
from phasejax import cli

MINE = """\
import jax, jax.numpy as jnp, optax, phasejax as pj
def needs(data=None):
    raise ValueError("a network needs data")
def branches():
    def loss(x):
        return jnp.sum(x**2) if x[0] > 0 else jnp.sum(x)
    return pj.Problem(loss, lambda key: jnp.ones(2), "branches")
def fails():
    return pj.Problem(lambda x: {}["a"], lambda key: jnp.ones(2), "fails")
def starts():
    return pj.Problem(lambda x: jnp.sum(x), lambda key: jnp.ones(n), "starts")
def late(rate, kind=0):
    def update(grads, state, params=None):
        raise (ValueError, RuntimeError)[kind]("steps are\\nnot for me")
    return optax.GradientTransformation(lambda params: (), update)
def wrong(a):
    return pj.adam(a=-a, b=1.0)
def nothing(rate): pass
builtin = dict
def three(): return 3
def bowl(depth): return pj.Problem(lambda x: depth * jnp.sum(x**2), lambda key: jnp.ones(2))
"""
FILES = {
    "mine.py": MINE,
    "imports.py": "\nimport no_such_module\n",
    "syntax.py": "x = 1\n\ndef f(:\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "latin.py": b"x = '\xff'\n",
    "zero.py": b"x = 1\0\n",
}
PROBLEMS = {
    "mine.py:needs": "mine.py:3: ValueError: a network needs data",
    "mine.py:branches": "mine.py:6: TypeError: loss of problem 'branches' cannot be traced by JAX",
    "mine.py:fails": "mine.py:9: KeyError: 'a'",
    "mine.py:starts": "mine.py:11: NameError: name 'n' is not defined",
    "mine.py:three": "--problem = 'mine.py:three': must be a function that returns a phasejax.Prob",
    "mine.py:bowl": "--problem-arg depth=VALUE is missing: mine.py:bowl needs it",
    "mine.py:bawl": "--problem = 'bawl': unknown; did you mean 'bowl'?",
    "mine.py": "--problem = 'mine.py': must be FILE.py:FUNCTION; the function is missing",
    "imports.py:f": "imports.py:2: ModuleNotFoundError: No module named 'no_such_module'",
    "syntax.py:f": "syntax.py:3: SyntaxError: invalid syntax",
    "exits.py:f": "exits.py:2: RuntimeError: the file exits (3) while it is loaded",
    "latin.py:f": "latin.py",
    "zero.py:f": "zero.py",
}
OPTIMIZERS = {
    "mine.py:late --axis rate=1,2": "mine.py:14: TypeError: dynamics = late fails with rate=1",
    "mine.py:late --axis rate=1 --axis kind=1,2": "mine.py:14: TypeError: dynamics = late fails",
    "mine.py:wrong --a 1,2": "mine.py:17: ArgumentError: a = -1.0: must be",
    "mine.py:nothing --axis rate=1,2": "dynamics = nothing returned NoneType",
    "mine.py:builtin --axis rate=1,2": "--optimizer = 'mine.py:builtin': must be a function whose",
    "mine.py:late --axis kind=0,1": "rate is missing: late needs it",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


def error_of(command, capsys):
    assert cli.main(command.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error.removeprefix("error: ")


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_error_in_a_problem_of_ones_own(name, here, capsys):
    error = error_of(f"sweep --a 1,2 --b 1 --steps 8 --windows 8 --problem {name}", capsys)
    assert PROBLEMS[name] in error
    assert error.startswith(PROBLEMS[name]) or name[:5] in ("latin", "zero.", "mine.")


@pytest.mark.parametrize("flags", OPTIMIZERS)
def test_an_error_in_an_optimizer_of_ones_own(flags, here, capsys):
    command = f"sweep --problem quadratic --steps 64 --windows 8 --optimizer {flags}"
    assert error_of(command, capsys).startswith(OPTIMIZERS[flags])


def test_traceback_shows_all(here, capsys):
    command = "sweep --a 1,2 --b 1 --problem mine.py:needs"
    assert cli.main(["--traceback", *command.split()]) == 2
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "Traceback (most recent call last):"
    assert shown[-1].startswith("error: mine.py:3: ValueError: a network needs data")
    assert "phasejax --traceback" in error_of(command, capsys)


def test_a_probe_of_ones_own_is_measured(here, capsys):
    (here / "probe.py").write_text(
        "import jax.numpy as jnp\n"
        "def farthest(params, grads, updates, state): return jnp.abs(params).max()\n"
        "def fails(params, grads, updates, state): return params['w']\n"
    )
    command = "sweep --problem quadratic --a 1,2 --b 1 --steps 64 --windows 8 --store s --probe "
    assert cli.main(f"{command}probe.py:farthest".split()) == 0
    dataset = pj.open_dataset("s")
    assert (dataset["farthest_min"] <= dataset["farthest_mean"]).all()
    assert (dataset["farthest_max"] > 0).all()
    capsys.readouterr()
    assert "fails on (params, grads" in error_of(f"{command}probe.py:fails --overwrite", capsys)
    assert "did you mean 'farthest'" in error_of(f"{command}probe.py:farther --overwrite", capsys)
