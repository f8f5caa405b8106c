"""The rule on synthetic curves of known regime."""

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import phasejax as pj
from phasejax.envelope import Envelope, edges, of_curve
from phasejax.regimes import LABELS, NAMES, classify_envelope
from phasejax.regimes.describe import describe
from phasejax.regimes.features import in_decades
from phasejax.regimes.median import median, ranked
from phasejax.regimes.windows import running

from .fuzzing import properties

STEPS = 20_000
T = np.arange(STEPS)
DESCENT = 10.0 ** (-8 * np.minimum(T / 3000, 1))


def spikes(level=1e-8, period=1500, height=5.0):
    """From `level`, a spike of `height` decades every `period` steps, falling in 150 steps."""
    return level * 10 ** (height * np.exp(-(T % period) / 50))


CURVES = {
    "squared sinusoid": (DESCENT * np.cos(T / 7) ** 2, "oscillation"),
    "flat with noise": (
        DESCENT * np.exp(np.random.default_rng(0).normal(size=STEPS)),
        "oscillation",
    ),
    "oscillation through exact zeros": (
        DESCENT * np.cos(T / 7) ** 2 * (T % 22 != 11),
        "oscillation",
    ),
    "spikes": (np.maximum(DESCENT, spikes()), "spike"),
    "spikes over the initial loss": (np.maximum(DESCENT, spikes(height=9.0)), "spike"),
    "low spikes": (np.maximum(DESCENT, spikes(height=1.5)), "spike"),
    "exponential growth": (1e-3 * 10 ** (T / 2000), "divergence"),
    "left and stays at its start": (np.where(T < 9000, DESCENT, 0.8), "divergence"),
    "left and stays above": (np.where(T < 9000, DESCENT, 30 + np.sin(T)), "divergence"),
    "inf": (np.where(T < 5000, 1.0 + T, np.inf), "divergence"),
    "nan": (np.where(T < 15_000, 1.0 + T, np.nan), "divergence"),
    "inf at once": (np.full(STEPS, np.inf), "divergence"),
    "zero": (np.where(T < 5000, 10.0 ** (-T / 20), 0.0), "converged"),
    "nan after underflow": (np.where(T < 6000, 10.0 ** (-T / 19), np.nan), "converged"),
    "rounding floor": (np.maximum(10.0 ** (-T / 200), 1e-31 * (1 + T % 3)), "converged"),
    "zero gradient from the start": (np.full(STEPS, 0.7), "converged"),
    "power law": (1 / (1 + T) ** 2, "descending"),
    "exponential decay": (10.0 ** (-T / 1000), "descending"),
    "steep decay": (10.0 ** (-T / 80), "descending"),
    "decay with oscillation": (10.0 ** (-T / 3000) * (0.1 + np.sin(T / 7) ** 2), "descending"),
    "a bump on the way down": (10.0 ** (-T / 2000) * (1 + 3 * (abs(T - 15000) < 5)), "descending"),
    "bumps on the way down": (10.0 ** (-T / 2000) * (1 + 3 * (T % 3000 < 9)), "spike"),
}


@pytest.mark.parametrize("name", CURVES)
def test_regime_of_a_synthetic_curve(name):
    loss, expected = CURVES[name]
    regime = pj.classify_curve(loss)
    assert str(regime) == regime.label == expected, dict(regime.features)
    assert regime.margin >= 0


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_units_of_the_loss_do_not_matter(name, scale):
    loss, expected = CURVES[name]
    if name in ("steep decay", "nan after underflow", "zero"):
        pytest.skip("goes down to the smallest floating-point numbers")
    assert str(pj.classify_curve(loss * scale)) == expected


@pytest.mark.parametrize("name", CURVES)
def test_curve_and_envelope_are_labelled_alike(name):
    loss, expected = CURVES[name]
    envelope = jax.tree.map(lambda x: np.stack([x, x]), of_curve(loss, 256))
    first = loss[0] if np.isfinite(loss[0]) else np.finfo(float).max
    labels = classify_envelope(envelope, np.full(2, first), float(np.finfo(float).eps), STEPS)
    assert [NAMES[code] for code in labels["regime"]] == [expected, expected]


def test_spikes_are_counted_and_measured():
    found = pj.classify_curve(np.maximum(DESCENT, spikes(period=1700, height=5.0))).features
    assert found["spike_count"] == pytest.approx(11, abs=1)  # 1,700 in the descent, ... 18,700
    assert found["spike_period"] == pytest.approx(1700, abs=80)  # a window has 78 steps
    assert found["spike_height"] == pytest.approx(found["late_peak"] - found["late_level"], abs=0.3)


@pytest.mark.parametrize(("count", "period"), [(2, np.nan), (3, 4000)])
def test_spikes_have_a_period_from_the_third_on(count, period):
    """One distance is no recurrence; in curves and in sweeps."""
    loss = np.full(STEPS, 1e-6)
    loss[6000 : 6000 + 4000 * count : 4000] = 1.0
    loss[0] = 1.0
    curve = pj.classify_curve(loss, 0.0).features
    one = jax.tree.map(lambda x: x[None], of_curve(loss, 256))
    cell = classify_envelope(one, np.ones(1), float(np.finfo(float).eps), STEPS)
    for found in (curve["spike_count"], cell["spike_count"][0]):
        assert found == count
    for found in (curve["spike_period"], cell["spike_period"][0]):
        np.testing.assert_allclose(found, period, atol=80)


def test_an_oscillation_is_measured():
    """A fast one has the amplitude log10 4; for a slow one the level shows the period."""
    fast = pj.classify_curve(DESCENT * np.cos(T / 7) ** 2).features
    assert fast["amplitude"] == pytest.approx(np.log10(4), abs=0.02)
    assert fast["spike_count"] == 0
    assert np.isnan(fast["spike_period"])
    assert np.isnan(fast["spike_height"])
    slow = pj.classify_curve(DESCENT * (2 + np.cos(2 * np.pi * T / 1000))).features
    assert slow["period"] == pytest.approx(1000, rel=0.02)


def test_onset_is_where_the_late_behaviour_begins():
    """A descent of 8 decades ends at step 3,000; its last log10 4 are within the late band."""
    onset = 3000 * (1 - np.log10(4) / 8)
    loss = DESCENT * np.cos(T / 7) ** 2
    assert pj.classify_curve(loss).features["onset"] == pytest.approx(onset, abs=80)
    assert pj.classify_curve(np.full(STEPS, 0.7)).features["onset"] == 0


def test_many_cells_are_described_like_each_one_alone():
    curves = [loss for loss, _ in CURVES.values() if np.isfinite(loss).all()]
    envelopes = [of_curve(curve, 256) for curve in curves]
    stacked = Envelope(*map(np.stack, zip(*envelopes, strict=True)))
    together = describe(in_decades(stacked), edges(STEPS, 256))
    for i, envelope in enumerate(envelopes):
        one = jax.tree.map(lambda field: field[None], envelope)
        alone = describe(in_decades(one), edges(STEPS, 256))
        np.testing.assert_allclose([x[i] for x in together], [x[0] for x in alone], rtol=1e-12)


@pytest.mark.parametrize("windows", [20, 256, 512])
def test_a_cell_has_the_same_labels_to_the_last_bit_among_others_and_alone(windows):
    """A tile, a resumed sweep and a refinement label other numbers of cells at once."""
    grid = pj.Grid(a=pj.log_axis(0.3, 300, 257), b=10.0, learning_rate=1e-3)
    dataset = pj.sweep(pj.problems.quadratic(), pj.adam, grid, steps=1024, windows=windows)
    labels = dataset[[name for name in LABELS if name in dataset]].drop_attrs()
    for chosen in (slice(256, 257), slice(0, 1), slice(3, 5), slice(None)):
        again = pj.classify(dataset.isel(a=chosen))
        xr.testing.assert_identical(again[list(labels)].drop_attrs(), labels.isel(a=chosen))


@properties
@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.booleans())
def test_medians_by_networks_are_those_of_numpy(windows, seed, ties):
    values = np.random.default_rng(seed).normal(size=(7, windows)).round(1 if ties else 12)
    np.testing.assert_array_equal(median(values), np.median(values, axis=-1))
    ranks = (0, windows // 3, windows - 1)
    ordered = np.sort(values, axis=-1)
    np.testing.assert_array_equal(np.stack(ranked(values, *ranks), -1), ordered[:, list(ranks)])


@properties
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_extremes_so_far_are_those_of_numpy(cells, windows, seed, innermost):
    """Whether windows are taken in turn or cells, and whichever lies together in memory."""
    values = np.random.default_rng(seed).normal(size=(cells, windows))
    values = np.asfortranarray(values) if innermost else values
    for of, given_values in ((np.minimum, values), (np.logical_or, values > 1)):
        np.testing.assert_array_equal(running(of, given_values), of.accumulate(given_values, -1))


def test_a_minimum_is_subtracted_and_its_rounding_is_a_floor():
    loss = 2 + DESCENT * np.cos(T / 7) ** 2
    assert str(pj.classify_curve(loss, minimum=2.0)) == "oscillation"
    assert pj.classify_curve(loss, minimum=2.0).features["late_level"] < -8
    assert str(pj.classify_curve(2 + 10.0 ** (-T / 500), minimum=2.0)) == "converged"
    with pytest.raises(ValueError, match=r"loss.min\(\) = 2.0.* at least minimum = 2.5"):
        pj.classify_curve(2 + DESCENT**9, minimum=2.5)
    with pytest.raises(ValueError, match="minimum = nan"):
        pj.classify_curve(loss, minimum=float("nan"))


def test_margin_is_the_distance_to_the_nearest_border():
    # Only intermittency is near a border: two peaks of 2.5 decades over a flat level.
    loss = np.where(np.isin(T, [12_000, 15_000]), 10**2.5, 1.0) * 1e-8
    loss[0] = 1.0
    regime = pj.classify_curve(loss)
    assert str(regime) == "spike"
    assert regime.margin == pytest.approx(regime.features["intermittency"] - 2)
    assert regime.margin == pytest.approx(0.5, abs=0.01)


@properties
@given(
    level=st.floats(-12, -3),
    height=st.floats(3, 9),
    period=st.integers(400, 4000),
    phase=st.integers(0, 4000),
)
def test_spikes_of_any_height_and_period_are_spikes(level, height, period, phase):
    loss = 10.0**level * 10 ** (height * np.exp(-((T + phase) % period) / 20))
    assert str(pj.classify_curve(np.r_[1.0, loss])) == "spike"


def test_integer_losses_and_float32_are_fine():
    assert str(pj.classify_curve(np.full(100, 3))) == "converged"
    single = (DESCENT * np.cos(T / 7) ** 2).astype(np.float32)
    assert str(pj.classify_curve(single)) == "oscillation"


def test_rounding_floor_is_that_of_the_dtype():
    loss = np.maximum(10.0 ** (-T / 200), 1e-13 * (1 + T % 3))
    assert str(pj.classify_curve(loss.astype(np.float32))) == "converged"
    assert str(pj.classify_curve(loss)) == "oscillation"


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (np.ones((100, 2)), r"loss.shape = \(100, 2\)"),
        (np.ones(10), "at least 16 steps"),
        (np.array([]), "at least 16 steps"),
        (np.r_[np.full(90, np.nan), np.ones(10)], "loss = .10 numbers.: must be at least 16"),
        (np.ones(100) * 1j, "loss.dtype = .complex128"),
        (np.float64(1.0), r"loss.shape = \(\)"),
    ],
)
def test_invalid_curves_are_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        pj.classify_curve(loss)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"minimum": True}, "minimum = True: must be a finite number"),
        ({"step": ["a"] * len(T)}, "step.dtype = '<U1': must be real numbers"),
        ({"step": [[1], [1, 2]]}, "step = 'list': must be an array of numbers"),
        ({"step": np.r_[0, T[:-1]]}, r"step\[1\] = 0.0: must be finite, and larger than the step"),
    ],
)
def test_invalid_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pj.classify_curve(DESCENT, **arguments)


def test_masked_losses_are_gaps_and_the_index_of_a_series_is_the_step():
    masked = np.ma.masked_array(DESCENT.copy(), T % 7 == 0)
    masked.data[::7] = 1e30
    assert str(pj.classify_curve(masked)) == "converged"
    series = pd.Series(np.maximum(DESCENT, spikes()), 10 * T)
    regime = pj.classify_curve(series)
    assert regime.spikes[0].step == 10 * pj.classify_curve(series.to_numpy()).spikes[0].step


@pytest.mark.filterwarnings("error")
def test_the_largest_numbers_are_labelled_without_a_warning():
    assert str(pj.classify_curve(DESCENT * 1e308)) == "converged"
    assert str(pj.classify_curve(np.full(100, np.finfo(float).max))) == "converged"
    assert str(pj.classify_curve(DESCENT, step=np.linspace(0, 1.7e308, len(T)))) == "converged"


def test_a_label_is_in_doubt_if_the_loss_vanishes_or_rises_at_rest():
    vanished = np.where(len(T) / 2 > T, 2.5 + 3 * np.exp(-T / 600), 0.0)
    rising = 1 + 1.5 * np.exp(-T / 50) + 0.4 * T / len(T)
    for loss in (vanished, rising):
        assert pj.classify_curve(loss).doubt


@pytest.mark.parametrize("power", [1.0, 0.3, 0.05])
def test_a_power_of_time_falls_by_its_exponent(power):
    """Medians of the last quarters lie at 13/16 and 15/16: 4·log10(15/13) = 0.249 per power."""
    found = pj.classify_curve((1.0 + T) ** -power, minimum=0.0)
    assert found.features["fall"] == pytest.approx(4 * np.log10(15 / 13) * power, rel=0.01)
    assert str(found) == "descending"


@pytest.mark.parametrize("windows", [8, 12, 16])
def test_few_windows_give_a_label_and_a_margin(windows):
    loss = 10.0 ** (-T / 3000)
    envelope = jax.tree.map(lambda field: field[None], of_curve(loss, windows))
    labels = classify_envelope(envelope, loss[:1], 2.2e-16, len(loss), 0.0)
    assert np.isfinite(labels["margin"][0])
    assert NAMES[int(labels["regime"][0])] == "descending"
