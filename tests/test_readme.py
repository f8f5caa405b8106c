"""The examples of the README and of two pages of docs run, as they stand, on fewer steps."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import phasejax as pj
from phasejax import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TEXT = README + "".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("flows", "scaling"))
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("phasejax")
]


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_blocks_run(number, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    sweep = pj.sweep

    def short(*arguments, steps=0, **others):
        budget = {} if "time" in others else {"steps": 64}
        if "refine" in others:
            others["refine"] = 33
        return sweep(*arguments, **others, **budget, windows=8)

    if "dask_jobqueue" in PYTHON[number]:
        compile(PYTHON[number], "block", "exec")
        pytest.skip("needs a cluster")
    monkeypatch.setattr(pj, "sweep", short)
    rng = np.random.default_rng(0)
    names = {
        "pj": pj,
        "X": rng.normal(size=(10, 4)),
        "y": rng.normal(size=10),
        "grid": pj.Grid(a=[1.0, 10.0], b=[1.0, 10.0]),
        "problem": pj.problems.quadratic(),
        "__name__": "__main__",
    }
    exec(PYTHON[number], names)


def test_commands_run(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    np.savetxt("training_log.csv", 10.0 ** -np.linspace(0, 5, 500)[:, None], delimiter=",")
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    assert len(COMMANDS) >= 9
    for line in COMMANDS:
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "COMMAND":
            continue
        words = ["33" if word == "257" else word for word in words]
        if words[0] == "sweep":
            words += ["--windows", "8", *([] if "--time" in words else ["--steps", "64"])]
        assert cli.main(words) == 0, line
    capsys.readouterr()


def test_files_it_points_to_exist():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link
