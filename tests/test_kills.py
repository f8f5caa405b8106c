"""Sweeps that are killed, run out of disk, or lose a worker: nothing finished is ever lost."""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

import phasejax as pj
from phasejax import cli
from phasejax.engine import adaptive, checkpoint, steps
from phasejax.results.store import Store

SWEEP = (
    "sweep --problem quadratic --problem-arg spectrum=1.0,0.1 --a 0.3:300:48 --b 0.3:300:48 "
    "--steps 2000 --windows 64 --block-size 4"
).split()

# Processes that begin with everything imported: most of a short run's time.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(
    ["phasejax.cli", "phasejax._sweep", "phasejax.results.summary", "phasejax.problems.quadratic"]
)


def command(store):
    return [sys.executable, "-m", "phasejax", *SWEEP, "--store", str(store), "--resume"]


def assert_same_store(one, other):
    """Every value bit by bit, and all of the configuration but the time of creation."""
    one, other = (xr.open_zarr(path).load() for path in (one, other))
    assert set(one.variables) == set(other.variables)
    for name in one.variables:
        np.testing.assert_array_equal(one[name], other[name], err_msg=str(name))
    for attributes in (one.attrs, other.attrs):
        del attributes["created"]
    assert one.attrs == other.attrs


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted sweep: 18 tiles."""
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    started(path).join()
    assert len(list((path / "loss_max" / "c").rglob("*"))) > 18
    return path


def files(store):
    return sum(len(names) for _, _, names in os.walk(store))


def started(store):
    """Start or resume the sweep, in a process of its own."""
    words = [*SWEEP, "--store", str(store), "--resume"]
    process = CHILDREN.Process(target=cli.main, args=(words,))
    process.start()
    return process


def killed_in_the_middle(store, rng):
    """Start or resume the sweep, and kill it while it writes; says whether it was in time.

    A tile writes some forty files. The kill comes after a random number of them.
    """
    process, some = started(store), store / "loss_max"
    before = files(some)
    while files(some) == before and process.is_alive():
        time.sleep(0.005)  # it starts; to count all files takes longer
    last = files(store) + rng.randrange(66)
    while files(store) <= last and process.is_alive():
        time.sleep(0.004 * rng.random())
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def test_twenty_kills_change_nothing(whole, tmp_path):
    """SIGKILL at random moments; whatever a reader finds in between is complete and right."""
    rng, store = random.Random(0), tmp_path / "s.zarr"
    reference = xr.open_zarr(whole).load()
    finished = []
    while len(finished) < 20:
        if not killed_in_the_middle(store, rng):
            shutil.rmtree(store)  # it came to its end
            continue
        there = (store / "zarr.json").exists()
        found = Store(store).open().load() if there else reference.isel(a=slice(0))
        there = found.status.values == 1
        for name in reference.data_vars:
            if found[name].dims[:2] == ("a", "b"):
                values, expected = found[name].values, reference[name].values
                np.testing.assert_array_equal(values[there], expected[: len(values)][there])
        assert (found.regime.values >= 0).sum() <= there.sum() + 128  # a tile not yet signed for
        finished.append(there.sum())
    assert len(set(finished)) > 5  # the kills came at different moments
    started(store).join()
    assert_same_store(store, whole)
    assert not list(store.rglob("*.partial"))
    assert not (store / ".phasejax").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_signals_at_random_moments_lose_nothing_and_touch_nothing_foreign():
    """`python -m tests.campaign_signals` does the same for longer, also to new interpreters."""
    from tests.campaign_signals import run

    assert run(4, seed=0, real=0).total() == 4


def draw_start(key):
    return jax.random.normal(key, (2,))


def of_a_batch(x, key):
    return jnp.sum((x - 0.1 * jax.random.normal(key, (2,))) ** 2)


@pytest.mark.usefixtures("eager_checkpoints", "short_segments")
def test_a_checkpoint_saves_what_a_killed_tile_had_done(tmp_path, monkeypatch, on_advance):
    """A single tile in segments, cut off after each of them: no step is taken twice."""
    monkeypatch.setattr(steps, "MOST_SEGMENTS", 10)  # each of them is a resumed sweep
    arguments = {
        "problem": pj.Problem(lambda x: jnp.sum(x**2), draw_start, batch_loss=of_a_batch),
        "dynamics": pj.adam,
        "grid": pj.Grid(a=pj.log_axis(1, 900, 6), b=[1.0, 100.0], seed=[3, 4]),
        "steps": 640,
        "windows": 64,
    }
    check_parts(arguments, tmp_path, on_advance)


@pytest.mark.usefixtures("eager_checkpoints", "short_segments")
def test_a_checkpoint_keeps_the_keys_of_an_optimizer(tmp_path, monkeypatch, on_advance):
    """Noise is drawn from a key in the optimizer's state; half of the cells free their slots."""
    monkeypatch.setattr(steps, "MOST_SEGMENTS", 10)

    def noisy(learning_rate, eta):
        return optax.chain(optax.add_noise(eta, 0.5, jax.random.key(3)), optax.sgd(learning_rate))

    arguments = {
        "problem": pj.problems.quadratic(),
        "dynamics": noisy,
        "grid": pj.Grid(learning_rate=pj.log_axis(1e-2, 1e3, 16), eta=0.01),
        "steps": 640,
        "windows": 64,
        "block_size": 1,
    }
    check_parts(arguments, tmp_path, on_advance)


@pytest.mark.usefixtures("eager_checkpoints")
def test_a_checkpoint_keeps_a_flow_where_it_is(tmp_path, monkeypatch, on_advance):
    """The explicit method, the implicit one after it, and cells that are done meanwhile."""
    monkeypatch.setattr(adaptive, "MOST_STEPS", 350)
    arguments = {
        "problem": pj.problems.quadratic((1.0, 0.1), (1.0, 1.0)),
        "dynamics": pj.rmsprop_flow,
        "grid": pj.Grid(a=pj.log_axis(1, 300, 4), eps_root=[1e-2, 1e-4, 1e-6]),
        "time": 20.0,
        "windows": 64,
    }
    expected = check_parts(arguments, tmp_path, on_advance)
    assert np.isfinite(expected.implicit_from).any()


def check_parts(arguments, tmp_path, on_advance):
    """Cut a sweep off after each call of its program, resume it, and compare."""
    expected = pj.sweep(**arguments)
    calls = []

    def once(*given):
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(given)

    on_advance(once)
    store, cuts = tmp_path / "s.zarr", 0
    for _ in range(200):
        calls.clear()
        try:
            pj.sweep(**arguments, store=store, resume=store.exists())
            break
        except KeyboardInterrupt:
            cuts += 1
            assert len(list((store / ".phasejax" / "checkpoints").iterdir())) == 1
    assert cuts > 5
    resumed = pj.open_dataset(store)
    for name in expected.data_vars:
        np.testing.assert_array_equal(resumed[name], expected[name], err_msg=str(name))
    assert not (store / ".phasejax").exists()
    return expected


def test_a_spoilt_checkpoint_is_not_trusted(tmp_path, eager_checkpoints):
    cells, tree = np.arange(5), {"x": np.arange(3.0), "n": np.array(2)}
    kept = checkpoint.Checkpoint(tmp_path, cells)
    kept.save(tree)
    found = kept.load({"x": np.zeros(3), "n": np.array(0)})
    assert found is not None
    np.testing.assert_array_equal(found["x"], tree["x"])
    assert found["n"] == 2
    assert kept.load({"x": np.zeros(4), "n": np.array(0)}) is None
    assert checkpoint.Checkpoint(tmp_path, cells + 1).load(tree) is None
    assert kept.path is not None
    whole = kept.path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        kept.path.write_bytes(whole[:size])
        assert kept.load(tree) is None


def test_a_full_disk_is_one_error_and_no_loss(whole, tmp_path):
    """On a file system of 3 MB; then on one with room."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs privileges")
    try:
        done = subprocess.run(command(small / "s.zarr"), capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "No space left on device" in done.stderr
        assert "finished tiles are kept" in done.stderr
        found = Store(small / "s.zarr").open().load()
        there = found.status.values == 1
        assert 0 < there.sum() < there.size
        reference = xr.open_zarr(whole).load()
        for name in ("loss_mean", "margin", "regime"):
            np.testing.assert_array_equal(found[name].values[there], reference[name].values[there])
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        started(small / "s.zarr").join()
        assert_same_store(small / "s.zarr", whole)
    finally:
        subprocess.run(["umount", str(small)], check=True)
