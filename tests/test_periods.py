"""Periods of orbits: known cycles, rest, descents, rotations and chaos."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import phasejax as pj

PARABOLA = pj.problems.quadratic((1.0,), (0.7,))
PLANE = pj.problems.quadratic((1.0, 1.0), (0.7, 0.2))
RUN: dict[str, Any] = {"steps": 4096, "windows": 32, "block_size": 2}


class Map(pj.Steps):
    """A map from parameters to parameters."""

    def init(self, rule, params) -> Any:
        return ()

    def step(self, rule, loss, params, state, key):
        return loss(params), rule(params), state


def logistic(r):
    return lambda x: r * x * (1 - x)


def drift(speed):
    """A descent at constant speed, of parameters of size one."""
    return lambda x: x + speed


def turn(angle):
    """A rotation."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return lambda x: jnp.stack([cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]])


def periods(problem, dynamics, probe: Any = "period", **axes):
    """Period at the end of every cell."""
    dataset = pj.sweep(problem, dynamics, pj.Grid(**axes), probes=[probe], **RUN)
    return dataset.final_period.values.ravel()


def test_the_cycle_of_rmsprop_is_found_although_its_loss_is_constant():
    grid = pj.Grid(a=[200.0, 500.0], learning_rate=[1e-3], eps=0.0)
    dataset = pj.sweep(PARABOLA, pj.rmsprop, grid, probes=["period"], **RUN)
    last = dataset.isel(window=-1)
    np.testing.assert_allclose(last.loss_max, last.loss_min, rtol=1e-9)
    np.testing.assert_array_equal(last.orbit_period, 2)
    np.testing.assert_array_equal(dataset.final_period, 2)
    np.testing.assert_array_equal(dataset.period_kind, 2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.filterwarnings("ignore:dtype")
def test_periods_of_the_logistic_map(dtype):
    """Period doubling, the window of period three, and chaos (May 1976)."""
    grid = pj.Grid(r=[2.5, 3.2, 3.5, 3.83, 4.0])
    dataset = pj.sweep(PARABOLA, Map(logistic), grid, probes=["period"], dtype=dtype, **RUN)
    np.testing.assert_array_equal(dataset.final_period, [1, 2, 4, 3, 0])
    np.testing.assert_array_equal(dataset.period_kind, [1, 2, 2, 2, 0])
    np.testing.assert_array_equal(pj.recurrence(dataset), dataset.period_kind)


def test_every_period_up_to_half_the_ring_is_found_and_no_longer_one():
    """Rotations by a whole turn over p; one by the golden angle never returns."""
    period = np.array([2, 3, 7, 16, 17, 32])
    probe = pj.probes.Period(ring=32)
    found = periods(PLANE, Map(turn), probe, angle=[*(2 * np.pi / period), np.pi * (3 - 5**0.5)])
    np.testing.assert_array_equal(found, [2, 3, 7, 16, 0, 0, 0])


def test_a_descent_is_no_fixed_point_unless_it_moves_by_less_than_rounding():
    """In 32 steps, relative to parameters of size one, a fixed point moves by 4e-15 at most."""
    found = periods(PARABOLA, Map(drift), speed=[-1e-5, -1e-10, -1e-14, 0.0])
    np.testing.assert_array_equal(found, [0, 0, 0, 1])


def test_gradient_descent_rests_where_it_has_converged():
    """At the minimum zero too, which is approached for ever; at 1e-4 it still descends."""
    import optax

    found = periods(PARABOLA, optax.sgd, learning_rate=[1e-4, 0.1, 1.0, 1.9, 2.0, 3.0])
    np.testing.assert_array_equal(found, [0, 1, 1, 1, 2, np.nan])


def test_a_tiny_cycle_around_zero_is_a_cycle_though_the_start_was_large():
    def fall(size):
        return lambda x: jnp.where(jnp.abs(x) > 0.1, size, -x)

    np.testing.assert_array_equal(periods(PARABOLA, Map(fall), size=[1e-16, 0.0]), [2, 1])


def test_the_ring_goes_on_over_windows_and_is_not_known_before_it_is_full():
    grid = pj.Grid(r=[3.2, 3.5])
    run: dict[str, Any] = RUN | {"steps": 160, "windows": 16}
    dataset = pj.sweep(PARABOLA, Map(logistic), grid, probes=["period"], **run)
    known = ~np.isnan(dataset.orbit_period)
    np.testing.assert_array_equal(known.isel(r=0), dataset.orbit_period.window.values >= 6)
    np.testing.assert_array_equal(dataset.final_period, [2, 4])


def test_of_cells_that_are_not_computed_to_the_end_those_at_rest_keep_their_period():
    """The last windows of the first two are nan: one rested at zero loss, one has diverged."""
    rows = [[np.nan, 1, np.nan], [0, 2, np.nan], [1, 0, 3], [np.nan, np.nan, np.nan]]
    cells = pj.probes.Period().describe({"orbit_period": np.array(rows)}, np.arange(4))
    np.testing.assert_array_equal(cells["final_period"], [1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(cells["period_kind"], [1, np.nan, 2, np.nan])


def test_mini_batches_are_noise_and_a_probe_changes_no_label():
    import optax

    inputs, targets = np.array([[-1.0], [0.3], [1.0]]), np.array([0.0, 1.0, 0.0])
    problem = pj.problems.network(inputs, targets, hidden=(2,), batch_size=1)
    run: dict[str, Any] = {"steps": 256, "windows": 16, "block_size": 2}
    grid = pj.Grid(learning_rate=[0.01, 0.1])
    probed = pj.sweep(problem, optax.sgd, grid, probes=["period"], **run)
    plain = pj.sweep(problem, optax.sgd, grid, **run)
    np.testing.assert_array_equal(probed.final_period, 0)
    xr.testing.assert_equal(probed[list(plain.data_vars)], plain)


def test_recurrence_puts_period_spikes_and_exponent_together():
    """Exponents are ln 2 of a chaotic logistic map, and 0 of a rotation."""
    kind = np.array([1, 2, 2, 0, 0, 0, 0, 0, np.nan])
    exponent = np.array([-1, -1, 0.1, np.log(2), 1e-5, -1, np.log(2), np.nan, 1])
    spikes = np.array([0, 0, 9, 0, 2, 0, 3, 0, 0])
    cells = {"period_kind": kind, "spike_count": spikes, "regime": np.where(spikes > 0, 0, 1)}
    dataset = xr.Dataset({name: ("r", values) for name, values in cells.items()})
    np.testing.assert_array_equal(pj.recurrence(dataset), [1, 2, 2, 0, 0, 0, 5, 0, -1])
    dataset["lyapunov_exponent"] = "r", exponent
    dataset["lyapunov_error"] = "r", np.full(len(exponent), 1e-4)
    found = pj.recurrence(dataset)
    np.testing.assert_array_equal(found, [1, 2, 2, 4, 3, 0, 5, 0, -1])
    assert found.attrs["flag_meanings"].split()[found.values[3] + 1] == "chaotic"
    np.testing.assert_array_equal(pj.recurrence(dataset, zero=1.0)[3], 3)
    with pytest.raises(ValueError, match="no period_kind: sweep with probes"):
        pj.recurrence(dataset.drop_vars("period_kind"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ring": 2}, "ring = 2"),
        ({"projections": 0}, "projections = 0"),
        ({"tolerance": 0.1}, r"tolerance = 0.1: must be between 0 and 2/ring = 0.03125"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        pj.probes.Period(**settings)
