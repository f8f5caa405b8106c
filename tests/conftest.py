import os
import shutil
import signal
import tempfile

import matplotlib
import numpy as np
import pytest

_cache = tempfile.TemporaryDirectory()  # nothing that a user measured or compiled plays a part
os.environ["XDG_CACHE_HOME"] = _cache.name
if "PYTEST_XDIST_WORKER" not in os.environ:
    # The workers of this run, and the commands that they start, share compiled programs.
    _compiled = tempfile.TemporaryDirectory()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import phasejax as pj  # noqa: E402
from phasejax import _trajectory  # noqa: E402
from phasejax._precision import precision  # noqa: E402
from phasejax.engine import checkpoint, kernel, placement, replaying, steps  # noqa: E402
from phasejax.engine.recorded import recorded_spec  # noqa: E402

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a background job
    signal.signal(signal.SIGINT, signal.default_int_handler)
matplotlib.use("Agg")
pj.use_all_cores()
os.fsync = lambda descriptor: None  # no test cuts the power, and thousands of files are written


# By processor seconds, the commands that they start included: from a hundred and fifty to forty.
LONGEST = (
    "test_probes",
    "test_flows",
    "test_sweep",
    "test_docs",
    "test_figures",
    "test_kills",
    "test_identity",
    "test_refine",
    "test_models",
    "test_real_problems",
    "test_replay",
    "test_structure",
    "test_install",
    "test_executors",
    "test_plot",
    "test_cli",
    "test_page",
    "test_regime_properties",
    "test_precision",
    "test_dynamics",
    "test_minimum",
    "test_paper",
    "test_stores",
)


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that two workers end together."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONGEST)))


@pytest.fixture
def small():
    """Arguments of a sweep that takes a second."""
    return {
        "problem": pj.problems.quadratic(),
        "dynamics": pj.adam,
        "grid": pj.Grid(a=pj.log_axis(1, 100, 3), b=pj.log_axis(1, 100, 4)),
        "steps": 640,
        "windows": 64,
    }


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium. In CI it must be installed."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and "CI_NEEDS_CHROMIUM" not in os.environ:
        pytest.skip("needs a browser: apt-get install chromium")
    assert found, "no chromium: apt-get install chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


# These fixtures are where tests reach into the engine, so that its inside can change.


@pytest.fixture
def small_tasks(monkeypatch):
    """Every task has one block per device."""
    monkeypatch.setattr(placement, "BLOCKS", 1)


@pytest.fixture
def short_segments(monkeypatch):
    """A task is a segment after the other even if it is small."""
    monkeypatch.setattr(steps, "SEGMENT_WORK", 1e3)


@pytest.fixture
def eager_checkpoints(monkeypatch):
    """A checkpoint is written after every segment."""
    monkeypatch.setattr(checkpoint, "SECONDS", 0)
    monkeypatch.setattr(checkpoint, "SHARE", np.inf)


@pytest.fixture
def on_advance(monkeypatch):
    """Call a function with the arguments of the compiled program before each of its calls."""
    advance = kernel.advance

    def install(function):
        def advanced(*arguments):
            function(*arguments)
            return advance(*arguments)

        monkeypatch.setattr(kernel, "advance", advanced)

    return install


@pytest.fixture
def in_recorded_windows():
    """Run one cell in a block of copies, in the windows of a sweep; the envelope of every copy."""

    def run(dataset, problem, cell):
        spec, attrs = recorded_spec(dataset.attrs, problem, None), dataset.attrs
        sizes = attrs["block_size"], attrs["slots"], int(attrs["device"].split()[0])
        with precision(attrs["dtype"]):
            return replaying.envelope(replaying.Copies(spec, cell, *sizes))._asdict()

    return run


@pytest.fixture
def traced_once(monkeypatch):
    """Trace the first call of `pj.trajectory` only: later ones must differ in numbers alone."""
    find, found = _trajectory.find_structure, []

    def find_once(problem, dynamics, fixed, *others):
        if not found:
            found.append(find(problem, dynamics, fixed, *others))
        assert set(found[0].numbers) == set(fixed)
        return found[0]._replace(numbers=fixed)

    monkeypatch.setattr(_trajectory, "find_structure", find_once)


@pytest.fixture(scope="session")
def rng():
    return np.random.default_rng(0)
