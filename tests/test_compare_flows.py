"""Flows beside the optimizer that they follow."""

import numpy as np
import optax
import pytest
import xarray as xr

import phasejax as pj

DEEP = pj.problems.deep_linear(4, (1.0, 0.7, 0.5))
GRID = pj.Grid(learning_rate=[0.02, 0.5])


def compare(folder=None):
    return pj.compare_flows(
        DEEP,
        optax.sgd,
        GRID,
        steps=2_000,
        directions=1,
        block_size=2,
        tolerance=0.15,
        folder=folder,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def found(folder):
    return compare(folder)


def test_each_flow_is_compared_with_the_optimizer_in_every_cell(found):
    """Below the edge all follow; above it, the stable flow leaves and the central flow follows."""
    assert list(found.flow.values) == ["stable", "central", "rod"]
    assert found.error.dims == ("flow", "learning_rate", "window")
    above = found.sel(learning_rate=0.5)
    ratio = above.predicted_loss / above.loss_mean - 1
    np.testing.assert_allclose(above.error, ratio, rtol=1e-12)
    until = above.follows_until.sel(flow="stable")
    assert above.follows_until.sel(flow="central") > until
    wrong = np.abs(above.error.sel(flow="stable")) > 0.15
    assert until == above.step.values[int(wrong.values.argmax())]
    late = above.distance.isel(window=-1)
    assert late.sel(flow="central") < 0.05 < late.sel(flow="stable")
    below = found.sel(learning_rate=0.02)
    assert (below.error.isel(window=0) < 0.15).all()


def test_the_distance_is_that_of_the_mean_parameters_of_a_window(found):
    """Both runs again, step by step, for the third window."""
    steps = list(range(300))

    def parameters(dynamics):
        runs = pj.trajectory(DEEP, dynamics, steps=steps, learning_rate=0.5)
        return np.concatenate([np.reshape(x, (len(steps), -1)) for x in runs], axis=1)

    flow, truth = (parameters(dynamics) for dynamics in (pj.stable_flow(optax.sgd), optax.sgd))
    apart = np.linalg.norm((flow - truth)[200:].mean(axis=0))
    come = np.linalg.norm(truth[200:].mean(axis=0) - truth[0])
    cell = found.distance.sel(flow="stable", learning_rate=0.5)
    np.testing.assert_allclose(cell[2], apart / come, rtol=1e-6)


def test_a_comparison_goes_on_from_its_folder(found, folder):
    """With complete stores nothing runs again, and the results are the same."""
    names = {path.name for path in folder.iterdir()}
    assert names == {"optimizer.zarr", "stable.zarr", "central.zarr", "rod.zarr"}
    made = {name: pj.open_dataset(folder / name).attrs["created"] for name in names}
    again = compare(folder)
    xr.testing.assert_identical(again, found)
    assert made == {name: pj.open_dataset(folder / name).attrs["created"] for name in names}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tolerance": 0}, "tolerance = 0"),
        ({"steps": 4}, "steps = 4: must be at least windows"),
        ({"directions": 5}, "directions = 5"),
        ({"optimizer": optax.lion}, r"optimizer = 'optax\.lion': must be one whose central flow"),
        ({"grid": pj.Grid(learning_rate=[-0.1])}, r"learning_rate = -0\.1"),
        ({"problem": pj.problems.digits(batch_size=8)}, "mini-batches"),
        ({"folder": ""}, "folder = ''"),
    ],
)
def test_what_a_comparison_refuses_before_anything_runs(changed, said, on_advance):
    def computed(*_):
        raise AssertionError("a step was computed before the input was refused")

    on_advance(computed)
    given = {"problem": DEEP, "optimizer": optax.sgd, "grid": GRID, "steps": 64, "windows": 8}
    with pytest.raises((ValueError, TypeError), match=said):
        pj.compare_flows(**(given | changed))


def test_a_folder_of_another_comparison_is_refused(found, folder):
    del found
    with pytest.raises(ValueError, match=r"^folder = .*steps differs, 2000 in the store and 99"):
        pj.compare_flows(DEEP, optax.sgd, GRID, steps=99, directions=1, block_size=2, folder=folder)
