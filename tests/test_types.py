"""What a user's type checker sees of an installed phasejax, through names imported lazily."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """\
import phasejax as pj

axis = pj.log_axis(1, 100, 3)
grid = pj.Grid(a=axis, b=axis, learning_rate=1e-3)
dataset = pj.sweep(pj.problems.digits(), pj.adam, grid, steps=640)
reveal_type(pj.problems.digits())
reveal_type(dataset)
reveal_type(pj.adam(1.0, 1.0, 1e-3))
reveal_type(pj.classify_curve([1.0, 0.5]))
reveal_type(pj.__version__)
pj.sweep(pj.problems.digits(), pj.adam, grid, step=640)
pj.sweep(pj.problems.digits(), pj.adam, grid, steps="many")
pj.swep
"""


@pytest.fixture(scope="module")
def diagnostics(tmp_path_factory):
    """What pyright says of the script, as (line of source, severity, message)."""
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "venv", symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
    # The package lies there as from a wheel; what it needs is read where it is installed already.
    shutil.copytree(ROOT / "phasejax", Path(packages) / "phasejax")
    (Path(packages) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    python = folder / "venv" / "bin" / "python"
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", python, script]
    # PYTHONPATH would let the checkout take the place of the package.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    said = json.loads(done.stdout)["generalDiagnostics"]
    lines = SCRIPT.splitlines()
    return [(lines[d["range"]["start"]["line"]], d["severity"], d["message"]) for d in said]


def test_a_users_type_checker_sees_what_is_returned(diagnostics):
    revealed = {
        line: message.rpartition(" is ")[2].strip('"')
        for line, severity, message in diagnostics
        if severity == "information"
    }
    assert revealed == {
        "reveal_type(pj.problems.digits())": "Problem",
        "reveal_type(dataset)": "Dataset",
        "reveal_type(pj.adam(1.0, 1.0, 1e-3))": "GradientTransformation",
        "reveal_type(pj.classify_curve([1.0, 0.5]))": "Regime",
        "reveal_type(pj.__version__)": "str",
    }


def test_a_users_type_checker_refuses_wrong_arguments_and_names(diagnostics):
    errors = {line: message for line, severity, message in diagnostics if severity == "error"}
    assert set(errors) == set(SCRIPT.splitlines()[-3:])
    wrong, ill_typed, misspelled = (errors[line] for line in SCRIPT.splitlines()[-3:])
    assert 'No parameter named "step"' in wrong
    assert 'parameter "steps"' in ill_typed
    assert '"swep" is not a known attribute' in misspelled
