"""Every command line gives a result, or one line that says what is wrong.

`PHASEJAX_FUZZ=2000 pytest tests/test_fuzz.py` tries as many examples of each test.
"""

import contextlib
import io
import itertools
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from phasejax import cli

from .fuzzing import fuzz

MINE = """
import jax.numpy as jnp, optax, phasejax as pj
def bowl(depth=1.0):
    return pj.Problem(lambda x: depth * jnp.sum(x**2), lambda key: jnp.ones(2), "bowl")
def broken():
    raise ValueError("a network needs data")
def plain(rate):
    return optax.sgd(rate)
"""
HOSTILE = [
    *["", " ", "x", "ü", "None", "True", "()", "[", "'", "\\", "\x00", "a", "a=", "=1", "a=1,a=2"],
    *["0", "-1", "1.5", "1e999", "1e-320", "-inf", "nan", "9" * 30, "1j", "0x10", "1_0"],
    *["1,2", "1,,2", ",", "1,x", "True,False", "relu,tanh", ":", "::", "1:2", "2:1:3", "0:1:2"],
    *["1:2:1", "1:2:x", "1:2:2:cubic", "nan:1:2", "1:inf:2", "1:1e308:2", "a=1", "a=1:2", "a=9"],
    *[".", "..", "file", "file/s", "foreign", "nowhere", "mine.py", "mine.py:f", "mine.py:broken"],
    *["log.csv", "bad.csv", "log.npy", "s", "s/a", "a.png", "a.gif"],
]
hostile = st.sampled_from(HOSTILE)


def value(*valid: str) -> st.SearchStrategy[str]:
    """A value of a flag: mostly a valid one, otherwise a hostile one."""
    return st.one_of(*[st.sampled_from(valid)] * 3, hostile)


def flags(**values: st.SearchStrategy[str] | None) -> st.SearchStrategy[list[str]]:
    """Some flags, each with a value, or without one if it is `None`."""

    def one(name: str, text: st.SearchStrategy[str] | None) -> st.SearchStrategy[list[str]]:
        flag = "--" + name.replace("_", "-")
        return st.just([flag]) if text is None else text.map(lambda word: [flag, word])

    options = [one(name, text) for name, text in values.items()]
    some = st.lists(st.one_of(options), max_size=5, unique_by=lambda words: words[0])
    return st.one_of(some, some, some, st.lists(st.one_of(options), max_size=5)).map(
        lambda chosen: list(itertools.chain(*chosen))
    )


def command(name: str, first: st.SearchStrategy, **values) -> st.SearchStrategy[list[str]]:
    """A command: its given words, some replaced by random flags."""

    def replaced(parts: tuple[list[str], list[str]]) -> list[str]:
        begins, drawn = parts
        kept = []
        words = iter(begins)
        for word in words:
            if word.startswith("--") and word in drawn:
                next(words)
            else:
                kept.append(word)
        return [name, *kept, *drawn]

    return st.tuples(first, flags(**values)).map(replaced)


AXES = value("1:9:2", "1,3", "2", "1:2:2:linear")
RATES = value("1e-3", "1e-3,1e-2", "1e-3:1e-2:2")
STORES = value("s", "new", "other/new").map(lambda word: [word])
ENOUGH = "--steps 16 --windows 8"
BASES = st.sampled_from(
    [
        f"--problem quadratic --a 1:9:2 --b 1 {ENOUGH}",
        f"--problem quadratic --optimizer sgd --learning-rate 0.1,0.2 {ENOUGH}",
        f"--problem mine.py:bowl --optimizer mine.py:plain --axis rate=0.1,0.2 {ENOUGH}",
        "--problem quadratic --optimizer adam_flow --a 1 --b 1,2 --time 1 --windows 8",
        f"--problem quadratic {ENOUGH}",
    ]
).map(str.split)
ASPECTS = {"refine": value("3", "a=3"), "resume": None, "overwrite": None}
SWEEPS = command(
    "sweep",
    BASES,
    **ASPECTS,
    problem=value("quadratic", "power", "mine.py:bowl"),
    problem_arg=value("spectrum=1.0,0.1", "k=4", "depth=2", "start=1,2"),
    optimizer=value("adam", "optax.adam", "adamw", "rmsprop", "lookahead", "mine.py:plain"),
    a=AXES,
    b=AXES,
    learning_rate=RATES,
    eps=RATES,
    eps_root=RATES,
    seed=value("0", "0,1", "3"),
    axis=value("b1=0.5,0.9", "momentum=0.9", "nesterov=True", "rate=1", "window=1,2", "step=1"),
    steps=value("8", "64"),
    time=value("0.5"),
    solver=value("tsit5"),
    rtol=value("1e-7"),
    atol=value("1e-9"),
    max_steps=value("50"),
    windows=value("8"),
    dtype=value("float32", "float64"),
    store=value("s", "new", "other/new"),
    block_size=value("1", "2"),
)
AT = value("seed=0", "a=1", "a=1,b=2", "a=1,b=2,seed=0", "seed=1,b=1")
AXIS = value("a", "b", "seed")
READERS = st.one_of(
    command("info", STORES, at=AT, json=None),
    command("border", STORES, at=AT, regime=value("spike", "converged"), json=None),
    command("classify", value("s", "log.csv", "log.npy").map(lambda word: [word]),
            minimum=value("0", "-1"), json=None),
    command("plot", STORES, at=AT, x=AXIS, y=AXIS, over=AXIS, output=value("a.svg"),
            late_loss=None, probability=None),
    command("view", STORES.map(lambda first: [*first, "--no-browser"]), at=AT, x=AXIS, y=AXIS,
            output=value("a.html")),
    command("zoom", value("s").map(lambda word: [word, "--to", "a=2:3"]), **ASPECTS,
            to=value("a=2:3", "b=2:3,a=3:4", "seed=0:1"), store=value("z", "s")),
    st.lists(hostile, max_size=3),
)  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with a sweep `s`, the user's Python files, and files that phasejax did not write."""
    path = tmp_path_factory.mktemp("fuzz")
    words = "sweep --problem quadratic --a 1:9:2 --b 1:9:2 --seed 0,1 --steps 16 --windows 8"
    assert cli.main([*words.split(), "--store", str(path / "s")]) == 0
    (path / "mine.py").write_text(MINE)
    (path / "file").write_text("not of phasejax")
    (path / "foreign").mkdir()
    (path / "foreign" / "thesis.tex").write_text("not of phasejax")
    np.savetxt(path / "log.csv", 10.0 ** -np.arange(80), header="loss", comments="")
    np.save(path / "log.npy", np.ones((80, 2)))
    (path / "bad.csv").write_text("a,b\n1,2\n3\n")
    return path


def ask(words: list[str]) -> tuple[int, str, str]:
    """Run a command line in this process: its exit code, and what it printed."""
    printed, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
        code = cli.main(words)
    return code, printed.getvalue(), complained.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """Files that are not part of a sweep, and their content."""
    own = ("s", "new", "other", "z")
    files = [p for p in folder.rglob("*") if p.relative_to(folder).parts[0] not in own]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.is_file()}


OPTIONS = {
    name: {flag for option in command.params for flag in option.opts}
    for name, command in typer.main.get_group(cli.app).commands.items()
}


def check_answer(words: list[str], code: int, printed: str, complained: str) -> None:
    """Check that the answer is a result or one line."""
    errors = [line for line in complained.splitlines() if not line.startswith("warning: ")]
    assert "Traceback" not in printed + complained
    assert "Type-check error" not in complained
    if code == 0:
        assert printed
        assert errors == []
    elif code == 1 and "failed: " in printed:
        assert errors == []
    else:
        assert code in (1, 2)
        assert len(errors) == 1
        assert errors[0].startswith("error: ")
        assert len(errors[0]) > len("error: ")
        named = re.match(r"error: (--[a-z-]+)", errors[0])
        assert named is None or named[1] in OPTIONS[words[0]]


def check_command(prepared: Path, words: list[str]) -> None:
    """Check that a command answers, and changes only the files that it names."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        shutil.copytree(prepared, folder, dirs_exist_ok=True)
        before = contents(Path(folder))
        check_answer(words, *ask(words))
        after = contents(Path(folder))
        assert {name: after.get(name) for name in before} == before
        written = {name.split("/")[0] for name in after.keys() - before.keys()}
        named = {word.split("/")[0] for word in words}
        defaults = {"sweep.zarr", "zoom.zarr", "phase_diagram.png", "phase_diagram.html"}
        assert written <= named | defaults, written


@given(words=SWEEPS)
@fuzz
def test_every_sweep_is_answered(prepared, words):
    check_command(prepared, words)


@given(words=READERS)
@fuzz
def test_every_other_command_is_answered(prepared, words):
    check_command(prepared, words)
