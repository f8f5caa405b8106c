"""Signals at random moments of sweeps, overwrites and resumes: `python -m tests.campaign_signals`.

SIGINT, SIGTERM and SIGKILL, beside files and folders of somebody else. After each, what was
finished is there and right, a foreign file is as it was, and an interrupt has said one line. In the
end the resumed sweep is the uninterrupted one, bit by bit.
"""

import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phasejax import cli
from tests.test_kills import CHILDREN, assert_same_store, files

GRID = "--problem quadratic --a 0.3:300:24 --b 0.3:300:24 --windows 64 --block-size 4".split()
STEPS = (2000, 2100)
"""Two configurations, one to overwrite the other with; the same program runs both."""
FOREIGN = (
    *(
        "results.new/a",
        "results.old/a",
        "results.checkpoints/a.npz",
        "results.lock",
        ".results.lock",
    ),
    *(".results/a", "results.partial", "results.checkpoints/a.partial", ".phasejax/ready/a"),
)
IN_STORE = ("notes.txt", "pictures/plane.png", "regime.partial")


class Campaign:
    """One folder with a store and foreign files, and their expected state."""

    def __init__(self, folder: Path, seed: int, real: float) -> None:
        self.store, self.log = folder / "here" / "results", folder / "log"
        self.rng, self.real = random.Random(seed), real
        self.seen: collections.Counter[str] = collections.Counter()
        self.whole = {steps: folder / f"whole_{steps}" for steps in STEPS}
        for name in FOREIGN:
            write(self.store.parent, name)
        for steps, path in self.whole.items():
            begin = time.monotonic()
            assert self.end(self.start(steps, path, "--resume", real=False)) == 0
            self.seconds = time.monotonic() - begin
        self.reference = {steps: xr.open_zarr(path).load() for steps, path in self.whole.items()}

    def start(self, steps: int, store: Path, flag: str, real: bool) -> Any:
        """Start a sweep in a process: a new interpreter, or a fork that has imported everything."""
        words = ["sweep", *GRID, "--steps", str(steps), "--store", str(store), flag]
        if not real:
            process = CHILDREN.Process(target=child, args=(words, self.log))
            process.start()
            return process
        command = [sys.executable, "-m", "phasejax", *words]
        with self.log.open("wb") as log:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)

    def end(self, process) -> int:
        """Wait for a process; returns its exit code."""
        if isinstance(process, subprocess.Popen):
            return process.wait()
        process.join()
        return process.exitcode

    def state(self) -> tuple[int | None, np.ndarray]:
        """Steps of the sweep in the store and its computed cells; checks their values."""
        if not (self.store / "zarr.json").exists():
            return None, np.zeros(1, bool)
        found = xr.open_zarr(self.store).load()
        there, reference = found.status.values == 1, self.reference[found.attrs["steps"]]
        for name in reference.data_vars:
            values, expected = found[name].values, reference[name].values
            if found[name].dims[:2] == ("a", "b"):
                np.testing.assert_array_equal(values[there], expected[there], err_msg=str(name))
        return found.attrs["steps"], there

    def round(self) -> None:
        """Run one process and send one signal."""
        before, there = self.state()
        if there.all() and self.rng.random() < 0.3:
            shutil.rmtree(self.store)
            before, there = None, np.zeros(1, bool)
        if before is not None:
            for name in IN_STORE:
                write(self.store, name)
        overwrite = before is not None and bool(there.all() or self.rng.random() < 0.4)
        steps = before or STEPS[0]
        if overwrite:
            steps = STEPS[1 - STEPS.index(steps)]
        number = self.rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        real = self.rng.random() < self.real
        process = self.start(steps, self.store, ["--resume", "--overwrite"][overwrite], real)
        self.wait(process, overwrite, real)
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(process.pid, number)
        code = self.end(process)
        after, still = self.state()
        self.check_end(number, code, still)
        if after == before:
            assert (still | ~there).all()  # no finished cell is lost
        else:
            assert overwrite or before is None
            between = after is None and (self.store / ".phasejax" / "cleared").exists()
            ready = after is None and (self.store / ".phasejax" / "ready").exists()
            assert after == steps or between or ready
        self.check_foreign(before is not None)
        what = "overwrite" if overwrite else "start" if before is None else "resume"
        self.seen[f"{number.name} {what} {'ended before' if code == 0 else 'cut off'}"] += 1

    def wait(self, process, overwrite: bool, real: bool) -> None:
        """Wait until a process handles signals, and then for a random time."""
        while not listening(process.pid):
            time.sleep(0.002)
        if not (overwrite or real):
            last, end = files(self.store) + self.rng.randrange(66), time.monotonic() + 60
            while files(self.store) <= last and alive(process) and time.monotonic() < end:
                time.sleep(0.004 * self.rng.random())
        else:
            time.sleep(self.rng.uniform(0, self.seconds + 3 * real))

    def check_end(self, number: int, code: int, there: np.ndarray) -> None:
        """Check that an interrupted run has exit code 1 and one line, and an ended run has none."""
        text = self.log.read_text()
        if number == signal.SIGKILL or (code == -number and there.all()):
            assert text == "", text
        elif code != 0:
            assert code == 1, (code, text)
            assert text.startswith("error: interrupted"), text
            assert text.count("\n") == 1, text
        else:
            assert there.all()
            assert text == "", text

    def check_foreign(self, in_store: bool) -> None:
        for name in FOREIGN:
            assert (self.store.parent / name).read_text() == name
        names = {name.partition("/")[0] for name in FOREIGN} | {"results"}
        assert {path.name for path in self.store.parent.iterdir()} <= names
        for name in IN_STORE if in_store else ():
            assert (self.store / name).read_text() == name

    def finish(self) -> None:
        """Resume to the end; check that the store equals the uninterrupted one."""
        steps = self.state()[0] or STEPS[0]
        for flag in (
            "--resume",
            "--overwrite",
        ):  # the interrupted run may have been about to change the configuration
            if self.end(self.start(steps, self.store, flag, real=False)) == 0:
                break
        assert_same_store(self.store, self.whole[steps])
        self.check_foreign(False)
        left = {path.name for path in self.store.iterdir()}
        left -= {path.name for path in self.whole[steps].iterdir()}
        assert left <= {name.partition("/")[0] for name in IN_STORE}, left


def child(words: list[str], log: Path) -> None:
    """Run a command line with its standard error in a file."""
    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(cli.main(words))


def write(folder: Path, name: str) -> None:
    """Write a file that contains its own name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)


def alive(process) -> bool:
    return process.poll() is None if isinstance(process, subprocess.Popen) else process.is_alive()


def listening(pid: int) -> bool:
    """Say whether a process handles SIGTERM or has ended; without /proc, wait for a while."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        time.sleep(0.5)
        return True
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1) or "State:\tZ" in status


def run(count: int, seed: int, real: float) -> collections.Counter[str]:
    """Send `count` signals; returns how often each outcome occurred."""
    # A background job of a shell ignores SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), seed, real)
        for _ in range(count):
            campaign.round()
        campaign.finish()
        return campaign.seen


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="signals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", type=float, default=0.15, help="share of new interpreters")
    given = parser.parse_args()
    begin = time.monotonic()
    for what, times in sorted(run(given.count, given.seed, given.real).items()):
        print(f"{times:5}  {what}")
    seconds = time.monotonic() - begin
    print(f"{given.count} signals in {seconds:.0f} s: nothing lost, nothing foreign touched")
