"""Sweeps run by executors: threads, processes, and Dask's workers on a cluster of this machine."""

import os
import signal
import threading
import time
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from multiprocessing import get_context

import numpy as np
import pytest

import phasejax as pj
from phasejax import cli
from phasejax.engine import tasks

from .serial import fail_at

distributed = pytest.importorskip("distributed")


@pytest.fixture
def arguments():
    """Arguments of a sweep of eighteen tiles."""
    return {
        "problem": pj.problems.quadratic((1.0, 0.1)),
        "dynamics": pj.adam,
        "grid": pj.Grid(a=pj.log_axis(0.3, 300, 48), b=pj.log_axis(0.3, 300, 48)),
        "steps": 640,
        "windows": 64,
        "block_size": 4,
    }


def assert_same(one, two):
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name], two[name], err_msg=str(name))


@pytest.fixture(scope="module")
def cluster():
    """Two workers with one core each."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(processes=True, **options) as cluster:
        yield cluster


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_threads_give_the_same_bits(arguments, tmp_path):
    expected = pj.sweep(**arguments)
    with ThreadPoolExecutor(2) as executor:
        for store in (None, tmp_path / "s.zarr"):
            assert_same(pj.sweep(**arguments, executor=executor, store=store), expected)


def test_processes_run_a_refined_sweep_of_a_function_of_ones_own(arguments, tmp_path):
    """A closure over data goes to a fresh interpreter; JAX has one device there."""
    scale = np.array(3.0)
    arguments["problem"] = pj.Problem(lambda x: scale * (x**2).sum(), lambda key: np.ones(2), "own")
    ends = pj.log_axis(0.3, 300, 5)
    arguments |= {"grid": pj.Grid(a=ends, b=ends), "refine": 17}
    expected = pj.sweep(**arguments)
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        dataset = pj.sweep(**arguments, executor=executor, store=tmp_path / "s.zarr")
    assert dataset.attrs["device"] == "1 x cpu cpu"
    assert_same(dataset, expected)


def test_a_worker_that_dies_in_a_pool_is_one_error(arguments, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "_run_there", _die)
    with ProcessPoolExecutor(1, get_context("spawn")) as executor, pytest.raises(BrokenExecutor):
        pj.sweep(**arguments, executor=executor, store=tmp_path / "s.zarr")


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_fails_on_a_worker_fails_alone(arguments):
    arguments["grid"] = pj.Grid(a=pj.log_axis(1, 100, 16), b=pj.log_axis(1, 100, 16))
    failing = fail_at(1, RuntimeError("out of memory"))
    with pytest.warns(RuntimeWarning, match="1 tasks failed, .* out of memory"):
        dataset = pj.sweep(**arguments, executor=failing)
    missing = dataset.status.values == 0
    assert 0 < missing.sum() == (dataset.regime.values == -1).sum() < missing.size


def test_dask_completes_a_sweep_whose_worker_is_killed(arguments, cluster, tmp_path):
    """One of two workers gets a SIGKILL in the middle; its tiles are done again."""
    arguments["steps"] = 2000
    expected = pj.sweep(**arguments)
    store = tmp_path / "s.zarr"
    killed = []

    def kill():
        done = lambda: len(list(store.glob("status/c/*/*")))  # noqa: E731
        wait_for(lambda: done() >= 3)
        killed.append((cluster.workers[0].pid, done()))
        os.kill(cluster.workers[0].pid, signal.SIGKILL)

    with distributed.Client(cluster, set_as_default=False) as client:
        workers = client.scheduler_info()["workers"]
        assert len(workers) == 2
        assassin = threading.Thread(target=kill)
        assassin.start()
        dataset = pj.sweep(**arguments, executor=client, store=store)
        assassin.join()
        assert killed[0][1] < 18
        assert cluster.workers[0].pid != killed[0][0]
        assert_same(dataset, expected)
        assert dataset.attrs["device"] == "1 x cpu cpu"
        assert not dataset.attrs["failures"]
        assert not list(store.rglob("*.partial"))


def test_the_command_line_finds_a_scheduler(cluster, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = "sweep --problem quadratic --a 1:100:8 --b 1:100:8 --steps 640 --windows 64 "
    command += "--block-size 4 --store"
    assert cli.main([*command.split(), "here.zarr"]) == 0
    there = [*command.split(), "there.zarr", "--scheduler", cluster.scheduler_address]
    assert cli.main(there) == 0
    assert_same(pj.open_dataset("there.zarr"), pj.open_dataset("here.zarr"))
    assert pj.open_dataset("there.zarr").attrs["device"] == "1 x cpu cpu"
    capsys.readouterr()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x"])
def test_a_scheduler_that_does_not_answer_is_one_line(address, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("phasejax.engine.cluster.TIMEOUT", "1s")
    command = f"sweep --problem quadratic --a 1,2 --b 1 --steps 64 --scheduler {address}"
    assert cli.main(command.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --scheduler = '{address}': must be the address of a Dask")
    assert error.count("\n") == 1
    assert not (tmp_path / "sweep.zarr").exists()


def test_workers_with_other_devices_are_refused(arguments, monkeypatch):
    """A worker whose devices differ would round differently: its tasks fail, and say why."""
    arguments["grid"] = pj.Grid(a=pj.log_axis(1, 100, 16), b=pj.log_axis(1, 100, 16))
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        executor = PlacedHere(pool)
        with pytest.warns(RuntimeWarning, match="this worker has 3 x cpu cpu, and the sweep was"):
            dataset = pj.sweep(**arguments, executor=executor)
    assert (dataset.regime == -1).all()


class PlacedHere(Executor):
    """Runs what is submitted first in this process, all else in a pool."""

    def __init__(self, pool):
        self.pool, self.placed = pool, False

    def submit(self, function, /, *arguments, **named):
        if self.placed:
            return self.pool.submit(function, *arguments, **named)
        self.placed, future = True, Future()
        future.set_result(function(*arguments, **named))
        return future
