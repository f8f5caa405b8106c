"""Power laws fitted to borders on planes."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import phasejax as pj

from .fuzzing import properties


def below(border, x, y):
    """The cells below a border, over axes x and y."""
    cells = y[None, :] < np.asarray(border)[:, None]
    return xr.DataArray(cells, {"delta": x, "gamma": y}, ("delta", "gamma"))


@properties
@given(
    exponent=st.floats(0.5, 3.0),
    constant=st.floats(0.2, 5.0),
    flipped=st.booleans(),
)
def test_a_power_law_is_found_to_the_size_of_a_cell(exponent, constant, flipped):
    x, y = np.geomspace(0.01, 1, 40), np.geomspace(1e-8, 100, 400)
    inside = below(constant * x**exponent, x, y)
    if flipped:
        inside = inside.transpose("gamma", "delta").isel(delta=slice(None, None, -1))
    fit = pj.fit_border(inside, "delta", "gamma")
    cell = np.log(y[1] / y[0])
    assert abs(fit.exponent - exponent) < cell
    assert abs(np.log(fit.constant / constant)) < cell
    assert np.max(np.abs(np.log(fit.y / (constant * fit.x**exponent)))) <= 0.5001 * cell
    np.testing.assert_allclose(np.log(fit.ratio), np.mean(np.log(fit.y / fit.x)))


def test_the_errors_cover_the_law_in_95_of_100_noisy_borders():
    x, y = np.geomspace(0.01, 1, 12), np.geomspace(1e-4, 1e3, 3_000)
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(800):
        fit = pj.fit_border(
            below(3.7 * x * np.exp(rng.normal(0, 0.3, x.size)), x, y), "delta", "gamma"
        )
        covered.append(
            (
                abs(fit.exponent - 1) < fit.exponent_error,
                abs(np.log(fit.constant / 3.7)) < np.log(fit.constant_factor),
                abs(np.log(fit.ratio / 3.7)) < np.log(fit.ratio_factor),
            )
        )
    np.testing.assert_allclose(np.mean(covered, axis=0), 0.95, atol=0.025)


def test_single_cells_and_borders_outside_the_plane_do_not_count():
    x, y = np.geomspace(0.01, 1, 8), np.geomspace(0.001, 10, 81)
    inside = below(2 * x, x, y)
    plain = pj.fit_border(inside, "delta", "gamma")
    inside[2, 75] = True
    same = pj.fit_border(inside, "delta", "gamma")
    np.testing.assert_array_equal(same.y, plain.y)
    inside[3] = True
    inside[4] = False
    fewer = pj.fit_border(inside, "delta", "gamma")
    np.testing.assert_array_equal(fewer.x, np.delete(x, [3, 4]))
    np.testing.assert_array_equal(fewer.y, np.delete(plain.y, [3, 4]))


def test_what_can_not_be_fitted_is_refused():
    x, y = np.geomspace(0.01, 1, 4), np.geomspace(0.001, 10, 81)
    inside = below(2 * x, x, y)
    refused = {
        "x, y = 'gamma, a': must be the two axes of inside": (inside, "gamma", "a"),
        "x, y = 'delta, delta': must be the two axes": (inside, "delta", "delta"),
        "inside dtype = 'float64': must be bool": (inside * 1.0, "delta", "gamma"),
        "values of delta = .*: must be 4 or more numbers": (inside[:3], "delta", "gamma"),
        "values of gamma = .*: must be 4 or more numbers": (inside[:, :0], "delta", "gamma"),
        "inside: has a border at 3 values of delta; a fit needs 4": (
            inside.where(inside.delta < 0.5, False),
            "delta",
            "gamma",
        ),
    }
    for values in ([-1.0, 1, 2, 3], [np.nan, 1, 2, 3], [1, 2, 3, np.inf], [1.0, 1, 2, 3]):
        moved = inside.assign_coords(delta=values)
        with pytest.raises(ValueError, match=r"values of delta = .*: must be finite, positive"):
            pj.fit_border(moved, "delta", "gamma")
    for values in (list("abcd"), [1j, 2, 3, 4], np.array([1, 2, 3, 4], "datetime64[D]")):
        moved = inside.assign_coords(delta=values)
        with pytest.raises(ValueError, match=r"values of delta = .*: must be 4 or more numbers"):
            pj.fit_border(moved, "delta", "gamma")
    with pytest.raises(ValueError, match=r"values of delta = .*: must be 4 or more numbers"):
        pj.fit_border(inside.drop_vars("delta"), "delta", "gamma")
    for message, arguments in refused.items():
        with pytest.raises(ValueError, match=message):
            pj.fit_border(*arguments)
