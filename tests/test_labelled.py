"""The rule compared with labels by hand of 360 runs of eighteen problems."""

import numpy as np
import pytest

from phasejax.regimes import NAMES
from tests.labelled import judge, read

SPIKE, OSCILLATION, DIVERGENCE, CONVERGED, _ = range(5)


def test_the_set_is_large_and_split_by_problem():
    runs = read.runs()
    halves = {run.about["problem"]: run.about["half"] for run in runs}
    assert len(runs) == 360
    assert all(halves[run.about["problem"]] == run.about["half"] for run in runs)
    assert sum(half == "set" for half in halves.values()) == 7
    assert sum(half in ("judge", "fresh") for half in halves.values()) == 11
    assert {run.label for run in runs} == set(NAMES)


@pytest.mark.parametrize("half", ["judge", "fresh"])
def test_labels_of_problems_that_were_not_used_to_set_thresholds(half):
    counts = judge.confusion([run for run in read.runs() if run.about["half"] == half])
    assert counts.trace() >= 0.97 * counts.sum()


def test_no_misleading_label():
    counts = judge.confusion(read.runs())
    assert counts[SPIKE, CONVERGED] == 0
    assert counts[DIVERGENCE, OSCILLATION] == 0
    assert counts[SPIKE].sum() >= 20
    assert np.all(counts.sum(1) >= 5)
