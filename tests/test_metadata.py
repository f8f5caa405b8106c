"""What the package says of itself: the same version everywhere, and what importing it costs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

import phasejax as pj

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_that_of_the_project():
    assert pj.__version__ == PROJECT["version"]
    assert "__version__" in dir(pj)


def test_importing_phasejax_looks_nothing_up():
    script = (
        "import sys, phasejax\n"
        "slow = {'importlib.metadata', 'jax', 'numpy', 'pandas', 'phasejax._version'}\n"
        "slow &= set(sys.modules)\n"
        "assert not slow, slow\n"
        "assert phasejax.__version__\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_citation_agrees_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert [author["family-names"] for author in paper["authors"]] == ["Ma", "Wu", "E"]
