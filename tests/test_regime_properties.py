"""What must not change a label, and what must; by hypothesis and on the labelled set.

Labels may change where the margin is small: every test says how small.
"""

import jax
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import phasejax as pj
from phasejax.envelope import of_curve
from phasejax.regimes import NAMES, classify_envelope
from tests.labelled import judge, read

from .fuzzing import properties

STEPS = 16_384
T = np.arange(STEPS)
EPS = float(np.finfo(float).eps)
NEVER, SMALL = 1e-6, 0.25
"""Cells with a smaller margin may change their label with units, or with resolution."""


periods = st.floats(7, 3000)
clear_periods = st.floats(7, 16) | st.floats(1000, 3000)
"""Of waves that average away in a window of 32 to 128 steps, or are resolved by it. Those between
make beats with the windows."""


@st.composite
def losses(draw, periods=periods, first_onset=200):
    """A curve of one of four kinds, with numbers of any plausible size."""
    kind = draw(st.sampled_from(["descent", "oscillation", "spikes", "jump"]))
    level = draw(st.floats(-10, -2))
    period = draw(periods)
    onset = draw(st.integers(first_onset, STEPS // 2))
    base = 10.0 ** (level * np.minimum(T / onset, 1))
    wave = np.exp(draw(st.floats(0, 2)) * np.cos(2 * np.pi * T / period))
    if kind == "descent":
        return (1 + T / onset) ** -draw(st.floats(0.3, 8)) * wave
    if kind == "oscillation":
        return base * wave
    if kind == "spikes":
        height = draw(st.floats(0.5, 8))
        width = max(draw(st.floats(0.005, 0.1)) * period, 4)  # a spike of one step could be missed
        return base * 10 ** (height * np.exp(-(T % period) / width))
    return np.where(onset > T, base, 10 ** draw(st.floats(-3, 6))) * wave


def in_windows(loss, windows):
    """The label from an envelope of `windows` windows, as a sweep has it."""
    envelope = jax.tree.map(lambda field: field[None], of_curve(loss, windows))
    labels = classify_envelope(envelope, loss[:1], EPS, len(loss))
    return NAMES[int(labels["regime"][0])]


@properties
@given(loss=losses(), exponent=st.floats(-20, 20))
def test_units_of_the_loss_change_no_label(loss, exponent):
    regime = pj.classify_curve(loss)
    assume(regime.margin > NEVER)
    assert str(pj.classify_curve(loss * 10.0**exponent)) == str(regime)


@properties
@given(loss=losses(clear_periods, first_onset=STEPS // 8), windows=st.sampled_from([128, 512]))
def test_other_windows_change_no_label(loss, windows):
    """If waves and windows do not beat, every stage is long enough for the medians, and a spike is
    tall: lower ones are seen in the single losses."""
    regime = pj.classify_curve(loss)
    assume(regime.margin > SMALL)
    assume(str(regime) != "spike" or regime.features["intermittency"] > 2 + SMALL)
    assert in_windows(loss, windows) == str(regime)


@pytest.mark.parametrize("windows", [128, 256, 512])
@pytest.mark.parametrize("count", range(8, 15))
def test_a_slow_wave_over_an_estimated_floor_has_no_spikes(count, windows):
    """A crest between two troughs is as wide as the neighbourhoods where levels are measured."""
    for phase in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        wave = np.exp(1.5 * np.cos(2 * np.pi * count * T / STEPS + phase))
        loss = (1 + 2 * T / STEPS) ** -0.4 * wave
        assert in_windows(loss, windows) != "spike", phase


@properties
@given(loss=losses())
def test_every_second_loss_is_enough(loss):
    regime = pj.classify_curve(loss)
    assume(regime.margin > SMALL)
    assert str(pj.classify_curve(loss[::2])) == str(regime)


@properties
@given(loss=losses(), seed=st.integers(0, 2**32 - 1))
def test_noise_of_a_percent_changes_no_label(loss, seed):
    """Except for a loss that is constant without the noise."""
    regime = pj.classify_curve(loss)
    assume(regime.margin > SMALL and str(regime) != "converged")
    noise = 1 + 0.01 * np.random.default_rng(seed).standard_normal(STEPS)
    assert str(pj.classify_curve(loss * noise)) == str(regime)


@properties
@given(
    level=st.floats(-10, -3),
    height=st.floats(2.5, 8),
    period=st.integers(300, 4000),
)
def test_a_spike_train_that_is_cut_out_is_missed(level, height, period):
    base = 10.0 ** (level * np.minimum(T / 2000, 1)) * (1 + 0.2 * np.cos(T / 5))
    spikes = base * 10 ** (height * np.exp(-(T % period) / 15))
    assert str(pj.classify_curve(spikes)) == "spike"
    assert str(pj.classify_curve(base)) == "oscillation"


@st.composite
def noises(draw):
    """Stationary noise around zero, over a level or below it, from a thin tail to a heavy one."""
    steps = draw(st.integers(256, 8192))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = {
        "normal": lambda: rng.standard_normal(steps),
        "uniform": lambda: rng.random(steps),
        "exponential": lambda: rng.exponential(size=steps),
        "gamma": lambda: rng.gamma(draw(st.floats(0.3, 5)), size=steps),
        "lognormal": lambda: np.exp(draw(st.floats(0.01, 1)) * rng.standard_normal(steps)),
        "t": lambda: rng.standard_t(draw(st.floats(3, 9)), steps),
        "rare": lambda: rng.random(steps) < draw(st.floats(0.02, 0.5)),
    }
    kind = draw(st.sampled_from(list(kinds)))
    if kind != "rare" and draw(st.booleans()):
        return np.abs(kinds[kind]())
    loss = draw(st.floats(-10, 10)) + draw(st.sampled_from([-1, 1])) * kinds[kind]()
    assume(kind != "rare" or np.abs(loss).min() > 0.1)  # of zeros and ones, one in 200 diverges
    return loss


@properties
@given(loss=noises(), unit=st.floats(-6, 6))
def test_stationary_noise_is_no_divergence(loss, unit):
    regime = pj.classify_curve(loss * 10.0**unit)
    assert str(regime) != "divergence" or regime.margin < SMALL


@st.composite
def descents(draw):
    """A smooth descent, the share of noise, and random numbers."""
    steps = draw(st.integers(600, 10_000))
    t = np.arange(steps) / steps
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    decay = np.exp(-draw(st.floats(0.5, 10)) * t)
    power = (1 + draw(st.floats(1, 100)) * t) ** -draw(st.floats(0.4, 2))
    loss = draw(st.sampled_from([decay, power]))
    return loss, 10.0 ** draw(st.floats(-5, -1.5)), rng


@properties
@given(made=descents(), place=st.floats(0.1, 0.9), tall=st.floats(6, 60), width=st.floats(1, 5))
def test_a_spike_in_a_descent_is_found_at_its_place(made, place, tall, width):
    """From six scatters on; but at least by a factor of four over the floor."""
    loss, scatter, rng = made
    noisy = loss * (1 + scatter * rng.standard_normal(len(loss)))
    at, after = int(place * len(loss)), np.arange(len(loss)) - int(place * len(loss))
    floor = pj.classify_curve(noisy).floor
    height = max(tall * scatter * loss[at], 3 * (loss[at] - floor))
    shape = np.where(after >= 0, np.exp(-np.maximum(after, 0) / width), 0)
    spikes = pj.classify_curve(noisy + height * shape).spikes
    assert [abs(spike.step - at) <= 1 for spike in spikes] == [True]
    assert spikes[0].returned or place > 0.85


@properties
@given(made=descents(), floor=st.floats(0.2, 100), more=st.floats(-1000, 1000))
def test_a_constant_added_to_a_loss_with_a_floor_changes_no_label(made, floor, more):
    """Unless the noise is near a twentieth of one of the levels, below which a run is at rest."""
    loss, scatter, rng = made
    levels = abs(floor + loss[-1]), abs(floor + loss[-1] + more)
    assume(6 * scatter < min(levels) / 20 or scatter > max(levels) / 20)
    over = floor + loss + scatter * rng.standard_normal(len(loss))
    one, two = pj.classify_curve(over), pj.classify_curve(over + more)
    assume(one.margin > SMALL and one.floor_estimated and two.floor_estimated)
    assert str(one) == str(two)
    assert len(one.spikes) == len(two.spikes)


def test_half_as_many_windows_leave_the_labels_of_real_runs():
    """Windows of the 360 labelled runs are merged in pairs; of a hundred labels one may change."""
    runs = read.runs()
    halved = []
    for run in runs:
        low, high, mean, level = run.curve.astype(float).reshape(4, -1, 2)
        with np.errstate(divide="ignore"):
            merged = [low.min(1), high.max(1), np.log10((10.0**mean).mean(1)), level.mean(1)]
        halved.append(run._replace(curve=np.stack(merged)))
    pairs = zip(runs, judge.judged(runs), judge.judged(halved), strict=True)
    changed = [
        run.number
        for run, (regime, margin), (other, _) in pairs
        if margin > SMALL and other != regime
    ]
    assert len(changed) <= 3, changed


@pytest.mark.parametrize("k", [4, 6])
def test_border_of_convergence_on_a_power_is_the_line_of_theory(k):
    """b = a·k/(2(k − 2)), docs/regimes.md: within 0.05 decades in the median; nothing diverges."""
    a, b = np.geomspace(1.5, 30, 64), np.geomspace(0.4, 60, 64)
    grid = pj.Grid(a=a, b=b, eps=0.0, learning_rate=1e-3)
    regime = pj.sweep(pj.problems.power(k), pj.adam, grid, steps=60_000)["regime"].values
    assert not (regime == NAMES.index("divergence")).any()
    falls = np.isin(regime, [NAMES.index("converged"), NAMES.index("descending")])
    distance = []
    for at_a, column in zip(a, falls, strict=True):
        last = np.flatnonzero(~column).max()  # above it all cells converge
        distance.append(np.log10(np.sqrt(b[last] * b[last + 1]) / (at_a * k / (2 * (k - 2)))))
    assert np.median(np.abs(distance)) < 0.05
