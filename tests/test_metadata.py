"""What the package says of itself: the same version everywhere, and what importing it costs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import phasejax as pj

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_that_of_the_project():
    assert pj.__version__ == PROJECT["version"]
    assert "__version__" in dir(pj)


def test_importing_phasejax_looks_nothing_up():
    script = (
        "import sys, phasejax\n"
        "slow = {'importlib.metadata', 'jax', 'numpy', 'phasejax._version'} & set(sys.modules)\n"
        "assert not slow, slow\n"
        "assert phasejax.__version__\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
