"""How far an axis may be followed without spikes or divergence."""

import json
from typing import Any

import numpy as np
import optax
import pytest
import xarray as xr

import phasejax as pj
from phasejax import cli
from phasejax.regimes import NAMES

CODES = {name[0]: code for code, name in enumerate(NAMES) if name != "descending"} | {"-": -1}
"""s(pike), o(scillation), d(ivergence), c(onverged), and no label."""


def labelled(rows, rates, scale="log"):
    """A sweep over b1 and a learning rate with given labels; the late loss falls with the rate.

    Its level over each run's own estimated minimum, as sweeps have it, rises.
    """
    codes = np.array([[CODES[letter] for letter in row] for row in rows])
    loss = 9 - np.arange(len(rates), dtype=float) + 0 * codes
    windows = np.stack([100 + 0 * loss, loss - 0.5, loss + 0.5], axis=-1)
    return xr.Dataset(
        {
            "regime": (("b1", "learning_rate"), codes),
            "late_level": (("b1", "learning_rate"), -loss),
            "loss_mean": (("b1", "learning_rate", "window"), windows),
        },
        {
            "b1": ("b1", np.arange(len(rows)) / 10, {"scale": "linear"}),
            "learning_rate": ("learning_rate", rates, {"scale": scale}),
        },
    )


def test_a_row_is_safe_up_to_the_first_cell_that_spikes_diverges_or_has_no_label():
    rates = [0.001, 0.01, 0.1, 1.0]
    rows = ["ccos", "cdco", "sccc", "cccc", "o-cc"]
    found = pj.safe_region(labelled(rows, rates), "learning_rate", end="low")
    np.testing.assert_array_equal(found.limit, [0.1, 0.001, np.nan, 1, 0.001])
    np.testing.assert_array_equal(found.unsafe_from, [1, 0.01, np.nan, np.nan, 0.01])
    np.testing.assert_allclose(found.margin, [10, 10, np.nan, np.nan, 10])
    np.testing.assert_array_equal(found.best, [0.1, 0.001, np.nan, 1, 0.001])
    np.testing.assert_array_equal(found.late_loss, [7, 9, np.nan, 6, 9])
    assert found.attrs["summary"] == (
        "learning_rate: no spike and no divergence up to 0.001 in 4 of 5 rows, "
        "and up to 1 at b1 = 0.3"
    )


@pytest.mark.parametrize("ascending", [True, False])
def test_an_axis_is_followed_from_its_safer_end_in_any_order(ascending):
    values, rows = [0.9, 0.99, 0.999], ["ssc", "scc"]
    if not ascending:
        values, rows = values[::-1], [row[::-1] for row in rows]
    found = pj.safe_region(labelled(rows, values, "linear"), "learning_rate")
    assert found.attrs["end"] == "high"
    np.testing.assert_array_equal(found.limit, [0.999, 0.99])
    np.testing.assert_allclose(found.margin, [0.009, 0.09])
    assert "down to 0.999 in 2 of 2 rows, and down to 0.99 at b1 = 0.1" in found.attrs["summary"]


def test_nothing_is_safe():
    found = pj.safe_region(labelled(["sds"], [1.0, 2.0, 3.0]), "learning_rate")
    assert np.isnan(found.limit).all()
    assert "every row begins with" in found.attrs["summary"]


def test_gradient_descent_on_a_parabola_is_safe_up_to_two_over_the_curvature(tmp_path, capsys):
    store = str(tmp_path / "s.zarr")
    problem = pj.problems.quadratic((1.0,), (1.0,))
    grid = pj.Grid(learning_rate=pj.log_axis(0.5, 8, 17))
    pj.sweep(problem, optax.sgd, grid, steps=512, windows=64, store=store)
    assert cli.main(["info", store, "--safe", "learning_rate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["limit"] <= 2 <= found["unsafe_from"]
    assert found["margin"] == pytest.approx(16 ** (1 / 16))
    assert cli.main(["info", store, "--safe", "learning_rate"]) == 0
    assert capsys.readouterr().out.startswith("learning_rate: no spike and no divergence up to ")
    assert cli.main(["info", store, "--safe", "learning_rat"]) == 2
    assert "did you mean 'learning_rate'" in capsys.readouterr().err


def test_names_have_no_order():
    dataset = labelled(["cs"], [1.0, 2.0]).assign_coords(learning_rate=["sgd", "adam"])
    with pytest.raises(ValueError, match="along = 'learning_rate': must be an axis of numbers"):
        pj.safe_region(dataset, "learning_rate")


@pytest.mark.parametrize("along", ["b1", "learning_rate"])
def test_the_diagram_draws_the_border_of_the_safe_part(along):
    """Between the last safe cell of every row and the next one."""
    rates = [0.001, 0.01, 0.1, 1.0]
    grid = pj.Grid(b1=[0.5, 0.6, 0.7], learning_rate=pj.log_axis(0.001, 1, 4))
    dataset = pj.sweep(pj.problems.quadratic(), optax.adam, grid, steps=256)
    codes = np.array([[CODES[letter] for letter in row] for row in ["ccos", "cdco", "cccc"]])
    dataset["regime"] = dataset["regime"].copy(data=codes)
    figure = pj.phase_diagram(dataset, x="b1", y="learning_rate", safe=along)
    steps: Any = figure.axes[0].patches[-1]
    border = steps.get_data()
    halves = np.sqrt(10)
    if along == "learning_rate":
        np.testing.assert_allclose(border.values, [0.1 * halves, 0.001 * halves, halves])
        np.testing.assert_allclose(border.edges, [0.45, 0.55, 0.65, 0.75])
    else:  # from the high end: columns are ccc, cdc, oco and soc
        np.testing.assert_allclose(border.values, [0.45, 0.65, 0.45, 0.55])
        np.testing.assert_allclose(border.edges, np.array([*rates, 10.0]) / halves)
    with pytest.raises(ValueError, match="safe = 'eps': unknown; known are b1, learning_rate"):
        pj.phase_diagram(dataset, x="b1", y="learning_rate", safe="eps")
