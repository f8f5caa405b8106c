import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import phasejax as pj
from phasejax.grid import by_tile, tile_shape


def test_axes_have_the_spacing_of_their_scale():
    assert pj.log_axis(1, 100, 3).values == pytest.approx((1, 10, 100))
    assert pj.linear_axis(0, 1, 3).values == (0, 0.5, 1)
    grid = pj.Grid(a=[1, 10, 100], b=[3.0, 4.0], learning_rate=1e-3)
    assert grid.axes["a"].scale == "log"
    assert grid.axes["b"].scale == "linear"
    assert grid.shape == (3, 2)
    assert grid.fixed == {"learning_rate": 1e-3, "seed": 0}


@given(st.lists(st.integers(1, 24), min_size=1, max_size=3).map(tuple), st.integers(1, 200))
def test_tiles_cover_every_cell_once_and_fit(shape, cells):
    block = tile_shape(shape, cells)
    assert np.prod(block) <= cells
    covered = np.zeros(shape, int)
    for tile, where in by_tile(np.arange(np.prod(shape)), shape, block):
        covered[tile] += 1
        assert covered[tile].size == len(where)
    assert (covered == 1).all()


@pytest.mark.parametrize(
    ("shape", "cells", "tiles"), [((24, 24), 32, 18), ((1024, 1024), 1024, 1024), ((7,), 32, 1)]
)
def test_common_grids_have_the_fewest_tiles(shape, cells, tiles):
    block = tile_shape(shape, cells)
    assert np.prod([-(-n // side) for n, side in zip(shape, block, strict=True)]) == tiles


def test_cells_are_numbered_with_the_last_axis_fastest():
    grid = pj.Grid(a=[1.0, 2.0, 3.0], b=[5.0, 6.0])
    cells = grid.cells(np.array([2, 3, 4, 5]))
    np.testing.assert_array_equal(cells["a"], [2, 2, 3, 3])
    np.testing.assert_array_equal(cells["b"], [5, 6, 5, 6])


@given(hnp.array_shapes(max_dims=3, max_side=9), st.data())
def test_every_cell_is_in_one_tile(shape, data):
    block = tuple(data.draw(st.integers(1, side)) for side in shape)
    cells = np.flatnonzero(data.draw(hnp.arrays(bool, shape)))
    seen = []
    for tile, where in by_tile(cells, shape, block):
        index = np.unravel_index(cells[where], shape)
        for i, side, size in zip(index, tile, block, strict=True):
            assert (side.start <= i).all()
            assert (i < side.stop).all()
            assert side.start % size == 0
        assert (np.diff(cells[where]) > 0).all()
        seen.extend(where)
    assert sorted(seen) == list(range(len(cells)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pj.log_axis(3, 3, 5), "low:high = '3:3': must be a range .* low < high"),
        (lambda: pj.log_axis(5, 1, 5), "low < high"),
        (lambda: pj.linear_axis(5, 1, 5), "low < high"),
        (lambda: pj.log_axis(0, 1, 5), "low = 0: must be greater than 0"),
        (lambda: pj.log_axis(1, float("inf"), 5), "finite"),
        (lambda: pj.log_axis(1, 2, 1), "count = 1: must be an integer, at least 2"),
        (lambda: pj.Grid(a=1.0), "has no axis"),
        (lambda: pj.Grid(a=[]), "a = "),
        (lambda: pj.Grid(a=[1.0, 1.0]), "without repeated numbers"),
        (lambda: pj.Grid(a=[1.0, float("nan")]), "a = "),
        (lambda: pj.Grid(a=[1.0, 2.0], seed=-1), "seed = -1"),
        (lambda: pj.Grid(seed=[0.5, 1.0]), "seed = 0.5"),
    ],
)
def test_bad_axes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
