"""Observations of Ma, Wu and E (2021) on real data: the regimes and their places."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import label

import phasejax as pj
from phasejax.regimes import NAMES

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clone")


@pytest.fixture(scope="module")
def diagram(folder):
    """A coarser diagram than that of `make sweep`, two cells per decade from 0.32 to 316."""
    values = [10 ** (k / 2) for k in range(-1, 6)]
    return pj.sweep(
        pj.problems.digits(),
        pj.adam,
        pj.Grid(a=values, b=values, learning_rate=1e-3),
        store=folder / "out/digits/sweep.zarr",
    ).load()


def test_the_readmes_commands_about_single_cells_print_the_regimes(diagram, folder):
    """Run in a shell; the comment of each line is the regime."""
    (folder / ".venv").symlink_to(sys.prefix)
    lines = BLOCKS[1].strip().splitlines()
    assert len(lines) == 3
    for line in lines:
        done = subprocess.run(
            line, shell=True, cwd=folder, check=True, capture_output=True, text=True
        )
        assert re.search(rf"regime +{line.split('# ')[1]}\n", done.stdout)


@pytest.mark.parametrize(
    ("a", "b", "regime"),
    [
        (1, 100, "spike"),
        (10, 10, "oscillation"),
        (100, 1, "divergence"),
        (1, 1, "descending"),
    ],
)
def test_named_cells(diagram, a, b, regime):
    assert float(diagram.a.sel(a=a)) == a  # exactly this cell, not the nearest one
    assert NAMES[int(diagram.regime.sel(a=a, b=b))] == regime


def test_margins_of_the_named_cells_are_wide(diagram):
    assert float(diagram.margin.sel(a=1, b=100)) > 1
    assert float(diagram.margin.sel(a=100, b=1)) > 1
    # A squared sinusoid has an intermittency of 0.6, of 2 that a spike needs; here the trend is
    # nearest to a border, 0.15 decades of falling.
    assert float(diagram.margin.sel(a=10, b=10)) > 0.1


def largest_region(diagram, name):
    touching = np.ones((3, 3))  # cells that share a corner are connected
    found: Any = label((diagram.regime == NAMES.index(name)).values, touching)
    regions, _ = found
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    return regions == sizes.argmax(), sizes


@pytest.mark.parametrize("name", ["spike", "oscillation", "divergence"])
def test_each_regime_is_one_connected_region(diagram, name):
    _, sizes = largest_region(diagram, name)
    assert sizes.max() >= 0.9 * sizes.sum()


def test_oscillations_lie_around_the_diagonal_with_spikes_above_and_divergence_below(diagram):
    log_a, log_b = np.meshgrid(np.log10(diagram.a), np.log10(diagram.b), indexing="ij")
    spike, oscillation, divergence = (
        largest_region(diagram, name)[0] for name in ("spike", "oscillation", "divergence")
    )
    assert (log_b - log_a)[spike].min() > 0
    assert (log_a - log_b)[divergence].min() > 0
    diagonal = (log_a == log_b) & (log_a >= 0.5)
    assert oscillation[diagonal].all()


def test_descending_cells_are_those_with_long_memory(diagram):
    """At small a and b the averages forget over 1/(aη) steps: the run ends before they settle."""
    descending = largest_region(diagram, "descending")[0]
    a, _ = np.meshgrid(diagram.a, diagram.b, indexing="ij")
    assert np.median(a[descending]) <= 1
    assert descending[0, 0]
