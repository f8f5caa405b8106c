"""Refined sweeps: which cells are computed and inferred, and how often labels are right."""

import itertools
from typing import Any

import numpy as np
import optax
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import phasejax as pj
from phasejax.engine.refinement import UNKNOWN, Refinement
from phasejax.regimes.codes import COMPUTED, INFERRED
from phasejax.regimes.nearest import nearest

from .fuzzing import properties
from .serial import interrupt_at

QUADRATIC = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
RUN: dict[str, Any] = {"steps": 3000, "windows": 128}


def run(labels, start, margin=None):
    """Act as the sweep: give a refinement the labels that it asks for."""
    margin = np.full(labels.shape, np.inf) if margin is None else margin
    refinement = Refinement(labels.shape, start)
    asked = np.zeros(labels.shape, int)
    while (cells := refinement.ask()).size:
        asked.flat[cells] += 1
        refinement.tell(cells, labels.flat[cells], margin.flat[cells])
    assert asked.max() == 1  # no cell is asked for twice
    np.testing.assert_array_equal(refinement.asked, asked == 1)
    return refinement


planes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=40)


@properties
@given(st.data(), planes, st.integers(2, 9), st.integers(2, 9))
def test_both_sides_of_every_border_are_computed(data, shape, rows, columns):
    """For any labels, smooth or not; so the nearest computed cell has the same label."""
    seed = data.draw(st.integers(0, 2**16))
    blocks = np.random.default_rng(seed).integers(0, 3, (5, 5)).astype(np.int8)
    index = [np.arange(n) * 5 // n for n in shape]
    labels = blocks[np.ix_(*index)]
    done = run(labels, {0: min(rows, shape[0]), 1: min(columns, shape[1])})
    assert (done.labels != UNKNOWN).all()
    np.testing.assert_array_equal(done.labels[done.asked], labels[done.asked])
    for axis in (0, 1):
        one, other = (np.take(done.labels, range(i, shape[axis] - 1 + i), axis) for i in (0, 1))
        both = [np.take(done.asked, range(i, shape[axis] - 1 + i), axis) for i in (0, 1)]
        assert (both[0] & both[1])[one != other].all()
    np.testing.assert_array_equal(nearest(done.labels, done.asked, (0, 1)), done.labels)


@pytest.mark.parametrize("count", [257, 200])
def test_a_smooth_border_is_found_exactly_for_a_tenth_of_the_cells(count):
    """For a circle whose border is 2.5 times as long as a side of the square."""
    x = np.linspace(-1, 1, count)
    labels = (x[:, None] ** 2 + x**2 < 0.64).astype(np.int8)
    done = run(labels, {0: 17, 1: 17})
    np.testing.assert_array_equal(done.labels, labels)
    assert done.asked.mean() < 0.08


def test_nothing_is_inferred_along_an_axis_that_is_not_refined():
    labels = np.zeros((3, 65, 65), np.int8)
    labels[1, 30:, :] = 1
    done = run(labels, {1: 9, 2: 9})
    np.testing.assert_array_equal(done.labels, labels)
    np.testing.assert_array_equal(done.asked.sum((1, 2))[[0, 2]], [81, 81])
    np.testing.assert_array_equal(nearest(labels, done.asked, (1, 2)), labels)


def test_neighbours_of_a_cell_with_a_small_margin_are_computed():
    """An island between the cells of the lattice is found if a margin next to it is small."""
    labels, margin = np.zeros((65, 65), np.int8), np.ones((65, 65))
    labels[30:35, 34:39] = 1
    margin[20:45, 20:45] = 0.01
    plain = run(labels, {0: 5, 1: 5})
    assert (plain.labels == labels).mean() < 1
    np.testing.assert_array_equal(run(labels, {0: 5, 1: 5}, margin).labels, labels)


@pytest.fixture(scope="module")
def toy():
    """257 × 257 cells of Adam on a quadratic, dense."""
    axis = pj.log_axis(0.3, 300, 257)
    return pj.sweep(QUADRATIC, pj.adam, pj.Grid(a=axis, b=axis), **RUN)


def test_a_refined_diagram_is_the_dense_one_for_a_tenth_of_the_work(toy, tmp_path):
    axis = pj.log_axis(0.3, 300, 17)
    refined = pj.sweep(
        QUADRATIC,
        pj.adam,
        pj.Grid(a=axis, b=axis),
        **RUN,
        refine=257,
        store=tmp_path / "s.zarr",
    )
    computed = refined.status.values == COMPUTED
    assert ((refined.status.values == INFERRED) == ~computed).all()
    assert (refined.regime.values == toy.regime.values).mean() >= 0.995
    assert computed.mean() <= 0.10
    for name in toy.data_vars:  # computed cells have the same bits as in a plain sweep
        if toy[name].dims[:2] == ("a", "b") and name != "status":
            values, expected = refined[name].values, toy[name].values
            np.testing.assert_array_equal(values[computed], expected[computed], err_msg=name)
    assert np.isnan(refined.loss_max.values[~computed]).all()
    assert refined.attrs["refined_from"] == {"a": 17, "b": 17}
    assert f"{computed.sum()} of them computed" in pj.summary(refined)


def test_a_refined_sweep_that_is_cut_off_resumes_to_the_same_bits(tmp_path):
    axis = pj.log_axis(1, 300, 9)
    arguments = {
        "problem": QUADRATIC,
        "dynamics": pj.adam,
        "grid": pj.Grid(seed=[0, 1], a=axis, b=axis, learning_rate=[1e-3, 1e-4]),
        "steps": 640,
        "windows": 64,
        "refine": {"a": 25, "b": 17},
        "block_size": 4,
    }
    arguments["problem"] = pj.problems.quadratic((1.0, 0.1))
    whole = pj.sweep(**arguments)
    assert whole.regime.shape == (2, 25, 17, 2)
    store = tmp_path / "s.zarr"
    for allowed in (1, 2, 3):
        executor = interrupt_at(allowed + 1)
        with pytest.raises(KeyboardInterrupt):
            pj.sweep(**arguments, store=store, resume=store.exists(), executor=executor)
    xr.testing.assert_identical(
        pj.sweep(**arguments, store=store, resume=True).load().drop_attrs(),
        whole.drop_attrs(),
    )
    np.testing.assert_array_equal(pj.classify(whole).regime, whole.regime)


def test_an_interrupt_keeps_what_a_refinement_computed(tmp_path, on_advance):
    """Cells of the later rounds wait in memory, and are written when the sweep is left."""
    axis = pj.log_axis(1, 300, 9)
    arguments = {"grid": pj.Grid(a=axis, b=axis), "steps": 1000, "windows": 64, "refine": 33}
    whole = pj.sweep(QUADRATIC, pj.adam, **arguments)
    rounds = itertools.count()

    def interrupt_later(*_):
        if next(rounds) == 3:
            raise KeyboardInterrupt

    on_advance(interrupt_later)
    with pytest.raises(KeyboardInterrupt):
        pj.sweep(QUADRATIC, pj.adam, **arguments, store=tmp_path / "s")
    computed = int((pj.open_dataset(tmp_path / "s").status == COMPUTED).sum())
    assert 81 < computed < int((whole.status == COMPUTED).sum())
    resumed = pj.sweep(QUADRATIC, pj.adam, **arguments, store=tmp_path / "s", resume=True)
    xr.testing.assert_identical(resumed.load().drop_attrs(), whole.drop_attrs())


def test_a_flow_is_refined_too():
    axis = pj.log_axis(1, 100, 3)
    dataset = pj.sweep(
        pj.problems.quadratic((1.0,), (1.0,)),
        pj.Flow(pj.adam_flow, solver="bosh3", rtol=1e-6),
        pj.Grid(a=axis, b=axis, eps_root=1e-2),
        time=5.0,
        windows=32,
        refine=9,
    )
    assert (dataset.status != 0).all()
    assert (dataset.regime >= 0).all()
    assert np.isfinite(dataset.solver_steps.values[dataset.status.values == COMPUTED]).all()


@pytest.mark.parametrize(
    ("refine", "grid", "message"),
    [
        (16, {}, "refine = 16: must be an integer, at least 17"),
        ({"c": 33}, {}, "refine = 'c': unknown"),
        ({"b": 33}, {"b": [1.0, 2.0]}, "refine = 'b': unknown; .*known are a"),
        (33, {"a": [1.0, 2.0], "b": 1.0}, "refine = 33: must be left out, or the grid given an ax"),
    ],
)
def test_what_cannot_be_refined_is_refused(refine, grid, message):
    axis = pj.log_axis(0.3, 300, 17)
    with pytest.raises(ValueError, match=message):
        pj.sweep(QUADRATIC, pj.adam, pj.Grid(**({"a": axis, "b": axis} | grid)), refine=refine)


@pytest.fixture(scope="module")
def descent(tmp_path_factory):
    """Gradient descent with momentum m on x²/2 diverges for rates above 2(1 + m)."""
    return pj.sweep(
        pj.problems.quadratic((1.0,), (1.0,)),
        optax.sgd,
        pj.Grid(learning_rate=pj.linear_axis(1.0, 4.5, 17), momentum=pj.linear_axis(0.0, 0.9, 17)),
        steps=2000,
        refine=257,
        store=tmp_path_factory.mktemp("descent") / "s.zarr",
    )


def test_a_smooth_border_has_dimension_one(descent):
    found = pj.border_dimension(descent, "divergence")
    assert found.dimension == pytest.approx(1.0, abs=0.05)
    assert found.error < 0.1
    rate, momentum = xr.broadcast(descent.learning_rate, descent.momentum)
    known = (rate > 2 * (1 + momentum)).values
    labelled = descent.regime.values == pj.regimes.NAMES.index("divergence")
    assert (known == labelled).mean() > 0.999


def plane(labels):
    """A dataset with only these labels."""
    status = np.full(labels.shape, COMPUTED)
    variables = {"regime": (("x", "y"), labels), "status": (("x", "y"), status)}
    return xr.Dataset(variables)


def koch(points, depth):
    """The corners of a Koch snowflake, each side cut into four."""
    for _ in range(depth):
        side = np.roll(points, -1) - points
        tip = points + side / 3 + side / 3 * np.exp(-1j * np.pi / 3)
        points = np.stack([points, points + side / 3, tip, points + 2 * side / 3], 1).ravel()
    return points


def test_the_koch_snowflake_has_its_dimension():
    from matplotlib.path import Path

    corners: Any = koch(np.exp(2j * np.pi * np.arange(3) / 3), 5)
    x = np.linspace(-1.2, 1.2, 513)
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
    inside = Path(np.stack([corners.real, corners.imag], 1)).contains_points(grid)
    found = pj.border_dimension(plane(inside.reshape(513, 513).astype(np.int8)))
    assert found.dimension == pytest.approx(np.log(4) / np.log(3), abs=0.04)


def test_a_line_has_dimension_one_and_noise_two():
    x = np.arange(257)
    line = pj.border_dimension(plane((x[:, None] * 0.7 > x).astype(np.int8)))
    assert line.dimension == pytest.approx(1.0, abs=0.03)
    noise = np.random.default_rng(0).integers(0, 2, (257, 257)).astype(np.int8)
    assert pj.border_dimension(plane(noise)).dimension == pytest.approx(2.0, abs=0.05)


def test_a_border_that_cannot_be_measured_is_refused():
    same = np.zeros((129, 129), np.int8)
    with pytest.raises(ValueError, match="there is no border"):
        pj.border_dimension(plane(same))
    with pytest.raises(ValueError, match="at least 129 values"):
        pj.border_dimension(plane(same[:128]))
    missing = plane(same)
    missing["status"][3, 4] = 0
    with pytest.raises(ValueError, match="1 cells are missing"):
        pj.border_dimension(missing)
    with pytest.raises(ValueError, match="regime = 'spikes': unknown"):
        pj.border_dimension(plane(same), "spikes")


def test_zoom_is_the_same_sweep_on_a_window(tmp_path):
    axis = pj.log_axis(1, 100, 5)
    grid = pj.Grid(a=axis, b=axis, learning_rate=1e-4, eps=1e-6, seed=3)
    problem = pj.problems.quadratic((1.0, 0.5))
    dataset = pj.sweep(problem, pj.adam, grid, steps=640, windows=64, refine=9)
    closer = pj.zoom(dataset, a=(2.0, 8.0))
    assert closer.shape == (5, 5)
    assert closer.axes["a"].values == pytest.approx(np.geomspace(2, 8, 5))
    assert closer.axes["b"].values == axis.values
    assert closer.fixed == {"learning_rate": 1e-4, "eps": 1e-6, "eps_root": 0.0, "seed": 3}
    again = pj.sweep(problem, pj.adam, pj.zoom(dataset), steps=640, windows=64, refine=9)
    np.testing.assert_array_equal(again.loss_mean, dataset.loss_mean)
    with pytest.raises(ValueError, match="zoom = 'c': unknown"):
        pj.zoom(dataset, c=(1, 2))
    with pytest.raises(ValueError, match="low < high"):
        pj.zoom(dataset, a=(3, 2))


@pytest.mark.parametrize(
    ("optimizer", "flags"),
    [
        ("optax.adam", "--axis b1=0.1:0.9:3:linear --axis b2=0.5,0.9 --learning-rate 0.1"),
        ("adam_flow", "--a 1:9:3 --b 1,2 --eps-root 1e-2 --rtol 1e-7"),
    ],
)
def test_the_command_line_zooms_into_a_store(optimizer, flags, tmp_path, monkeypatch, capsys):
    from phasejax import cli

    monkeypatch.chdir(tmp_path)
    budget = "--time 2" if "flow" in optimizer else "--steps 128"
    command = f"sweep --problem quadratic --problem-arg spectrum=1.0,0.2 --windows 32 {budget} "
    assert cli.main([*f"{command} --optimizer {optimizer} {flags} --seed 2".split()]) == 0
    name = "a" if "flow" in optimizer else "b1"
    assert cli.main(["zoom", "sweep.zarr", "--to", f"{name}=0.2:0.6"]) == 0
    wide, close = pj.open_dataset("sweep.zarr"), pj.open_dataset("zoom.zarr")
    np.testing.assert_allclose(close[name].values[[0, -1]], [0.2, 0.6])
    for key in ("fixed", "problem_fingerprint", "seeds", "windows", "optimizer_module"):
        assert close.attrs[key] == wide.attrs[key]
    assert cli.main(["zoom", "sweep.zarr", "--to", "a=nonsense"]) == 2
    assert "--to = 'a=nonsense': must be NAME=LOW:HIGH" in capsys.readouterr().err
