import os
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

matplotlib.use("Agg")
pj.use_all_cores()


LONGEST = ("test_kills", "test_install", "test_paper", "test_flows", "test_refine", "test_page")


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


@pytest.fixture(scope="session")
def rng():
    return np.random.default_rng(0)
