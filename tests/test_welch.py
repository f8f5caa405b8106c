"""The period of a loss curve: known periods, curves without one, and spikes of a sweep."""

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

import phasejax as pj
from phasejax.regimes.recurrence import RECURRENCES

STEPS = 12_000
SETTINGS = hypothesis.settings(deadline=None, max_examples=25)


def spikes(starts, steps=STEPS, height=4.0, decay=15.0):
    """Losses of 1e-6 with spikes of `height` decades that fall by a decade in `decay` steps."""
    since = np.arange(steps)[:, None] - np.asarray(starts)
    raised = np.where(since >= 0, np.maximum(height - since / decay, 0), 0).max(1)
    return 10 ** (raised - 6)


@SETTINGS
@hypothesis.given(strategies.floats(40, 800), strategies.floats(0, 1))
def test_regular_spikes_have_their_period(period, phase):
    found = pj.welch_period(spikes(np.arange(phase - 1, STEPS / period + 1) * period))
    assert found == pytest.approx(period, rel=0.05)


@SETTINGS
@hypothesis.given(
    strategies.floats(25, 800), strategies.floats(0, 7), strategies.sampled_from([0.1, 1, 3])
)
def test_an_oscillation_has_its_period(period, phase, height):
    steps = np.arange(STEPS)
    loss = 10 ** (height * np.sin(2 * np.pi * steps / period + phase) - 3)
    assert pj.welch_period(loss) == pytest.approx(period, rel=0.05)


def test_spikes_that_come_with_some_disorder_have_their_mean_distance():
    random = np.random.default_rng(0)
    starts = np.cumsum(random.normal(300, 15, STEPS // 300))
    noise = np.exp(0.3 * random.normal(size=STEPS))
    assert pj.welch_period(spikes(starts) * noise) == pytest.approx(300, rel=0.03)


@pytest.mark.parametrize("every", [5, 20])
def test_a_log_of_some_losses_has_the_period_in_steps(every):
    """Of every 20th loss nothing is smoothed: the cutoff is above what they resolve."""
    loss = spikes(np.arange(100, 60_000, 700), 60_000, decay=60.0)
    assert pj.welch_period(loss[::every], every) == pytest.approx(700, rel=0.01)


def test_fast_noise_does_not_hide_a_slow_period():
    """A swing of five steps is larger than that of 400 steps, but above the cutoff."""
    steps = np.arange(STEPS)
    loss = 10 ** (2.0 * np.sin(2 * np.pi * steps / 5) + 0.5 * np.sin(2 * np.pi * steps / 400))
    assert pj.welch_period(loss) == pytest.approx(400, rel=0.01)


def test_the_start_of_a_run_does_not_count():
    loss = spikes(np.arange(0, STEPS, 300))
    loss[:2_000] = 1e3 * (1 + np.sin(np.arange(2_000) / 40))
    assert pj.welch_period(loss) == pytest.approx(300, rel=0.01)


STILL = {
    "constant": np.full(STEPS, 0.3),
    "zero": np.zeros(STEPS),
    "rounding": np.full(STEPS, 0.3) * (1 + 1e-12 * (np.arange(STEPS) % 100)),
    "far below 1e-12": 1e-20 * spikes(np.arange(0, STEPS, 300)),
    "descent": 10.0 ** -np.linspace(0, 5, STEPS),
    "slow descent": 1 / np.arange(1, STEPS + 1),
    "one spike": spikes([7_000]),
    "two spikes": spikes([5_000, 8_000]),
    "divergence": np.where(np.arange(STEPS) < 9_000, spikes(np.arange(0, STEPS, 300)), np.inf),
    "a period that changes": spikes([*range(0, 7_200, 300), *range(7_200, STEPS, 100)]),
}


@pytest.mark.parametrize("name", STILL)
def test_a_curve_without_a_period_has_nan(name):
    assert np.isnan(pj.welch_period(STILL[name]))


def test_noise_rarely_has_a_period():
    random = np.random.default_rng(0)
    found = [pj.welch_period(np.exp(random.normal(size=4_000))) for _ in range(100)]
    assert np.isfinite(found).mean() < 0.15


def test_spikes_of_adam_recur_as_the_edge_of_stability_is_crossed():
    problem = pj.problems.digits(samples=64, hidden=(8,))
    grid = pj.Grid(a=[3.0], b=[300.0], learning_rate=1e-3)
    probes = ["period", pj.probes.SpikePredictor(sustained=1)]
    run: dict[str, Any] = {"steps": 8_000, "windows": 250, "block_size": 1}
    dataset = pj.sweep(problem, pj.adam, grid, probes=probes, **run)
    spikes_code = RECURRENCES.index("spikes")
    np.testing.assert_array_equal(pj.recurrence(dataset), spikes_code)
    found = pj.welch_period(pj.replay(dataset, problem, a=3, b=300)["loss"])
    np.testing.assert_allclose(dataset["crossing_period"], found, rtol=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"loss": np.ones((10, 100))},
            r"loss.shape = \(10, 100\): must be \[steps\] with at least",
        ),
        ({"loss": np.ones(63)}, r"loss.shape = \(63,\): must be \[steps\] with at least 64 steps"),
        ({"loss": ["a"] * 100}, "loss.dtype = '<U1': must be real numbers"),
        ({"loss": -np.ones(100)}, r"loss.min\(\) = -1.0: must be at least 0; subtract"),
        ({"every": 0}, "every = 0: must be a finite number greater than 0"),
    ],
)
def test_errors_name_the_argument(change, message):
    with pytest.raises(ValueError, match=message):
        pj.welch_period(**{"loss": np.ones(100)} | change)
