"""How many cells run at once: measured, remembered, and part of a run's configuration."""

import json
import math
import os
import subprocess
import sys

import jax
import pytest

import phasejax as pj
from phasejax.engine import tuning


@pytest.fixture
def measuring(monkeypatch, tmp_path):
    """Every sweep is worth measuring; a cell costs least in blocks of eight."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tuning, "WORTH_MEASURING", 0)
    monkeypatch.setattr(tuning, "_measured", {})
    measured = []

    def seconds(spec, block_size):
        measured.append(block_size)
        return abs(block_size - 8) + 1.0

    monkeypatch.setattr(tuning, "seconds_per_cell", seconds)
    return measured


def test_the_fastest_is_found_remembered_and_recorded(small, measuring, monkeypatch, tmp_path):
    small["grid"] = pj.Grid(a=pj.log_axis(1, 100, 32), b=10.0)
    dataset = pj.sweep(**small)
    assert dataset.attrs["block_size"] == 8
    assert dataset.attrs["block_size_source"] == "measured"
    assert "blocks of 8 (measured)" in pj.summary(dataset)
    assert measuring[0] == 256  # the guess for two parameters
    measuring.clear()
    pj.sweep(**small)
    assert measuring == []  # remembered by the process
    monkeypatch.setattr(tuning, "_measured", {})
    pj.sweep(**small)
    assert measuring == []  # and on disk
    assert list(json.loads((tmp_path / "phasejax" / "block_sizes.json").read_text()).values()) == [
        8
    ]
    pj.sweep(**{**small, "dtype": "float32"})
    assert measuring  # another dtype is another question


def test_a_broken_memory_is_measured_again(small, measuring, tmp_path):
    (tmp_path / "phasejax").mkdir()
    (tmp_path / "phasejax" / "block_sizes.json").write_text("[{")
    assert pj.sweep(**small).attrs["block_size_source"] == "measured"
    assert measuring


def test_a_short_sweep_and_a_given_block_size_measure_nothing(small, measuring, monkeypatch):
    assert pj.sweep(**small, block_size=2).attrs["block_size_source"] == "given"
    monkeypatch.setattr(tuning, "WORTH_MEASURING", 1e10)
    assert pj.sweep(**small).attrs["block_size_source"] == "guessed"
    assert measuring == []


def test_resume_runs_with_the_block_size_of_the_store(small, measuring, small_tasks, tmp_path):
    whole = pj.sweep(**small, block_size=2, store=tmp_path / "s").load()
    resumed = pj.sweep(**small, resume=True, store=tmp_path / "s")
    assert resumed.attrs["block_size"] == 2
    assert measuring == []
    assert resumed.identical(whole)


@pytest.mark.parametrize("source", ["measured", "guessed"])
def test_resume_runs_in_the_tiles_of_the_store(source, measuring, monkeypatch, tmp_path):
    """A short task has more blocks than one whose block size is given."""
    side = {"measured": 24, "guessed": 96}[source]
    if source == "guessed":
        monkeypatch.setattr(tuning, "WORTH_MEASURING", 1e10)
    grid = pj.Grid(a=pj.log_axis(0.3, 300, side), b=pj.log_axis(0.3, 300, side))
    call = pj.problems.quadratic(), pj.adam, grid
    run = {"steps": 16, "windows": 8, "store": tmp_path / "s"}
    whole = pj.sweep(*call, **run).load()
    assert whole.attrs["block_size_source"] == source
    blocks = whole.attrs["slots"] / whole.attrs["block_size"]
    assert blocks > 16 * len(jax.local_devices())
    assert pj.sweep(*call, **run, resume=True).identical(whole)


@pytest.mark.parametrize("side", [3, 7, 17, 24, 40])
def test_a_guessed_block_leaves_few_slots_free(side):
    axis = pj.log_axis(0.3, 300, side)
    grid = pj.Grid(a=axis, b=axis, learning_rate=1e-3)
    attrs = pj.sweep(pj.problems.quadratic(), pj.adam, grid, steps=8, windows=8).attrs
    devices = len(jax.local_devices())
    blocks = math.ceil(side**2 / devices / attrs["block_size"])
    assert attrs["block_size"] <= 256
    assert devices * blocks * attrs["block_size"] < side**2 + devices * (16 * blocks + 1)


def test_a_real_measurement(tmp_path):
    """On a real network, in a process of its own: some choice is made, and kept."""
    script = (
        "import numpy as np, phasejax as pj\n"
        "from phasejax.engine import tuning; tuning.WORTH_MEASURING = 0\n"
        "inputs = np.random.default_rng(0).standard_normal((8, 64))\n"
        "network = pj.problems.network(inputs, np.sign(inputs[:, 0]), hidden=(4,))\n"
        "data = pj.sweep(network, pj.adam, "
        "pj.Grid(a=pj.log_axis(1, 100, 64), b=10.), steps=64, windows=8)\n"
        "print(data.attrs['block_size'], data.attrs['block_size_source'])\n"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        ).stdout.split()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert answers[0][1] == "measured"
    assert 1 <= int(answers[0][0]) <= 64
