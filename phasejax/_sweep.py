"""The main job: run every cell of a grid, tile by tile, and store envelopes and regimes."""

import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from ._check import bad
from .dynamics import Discrete, Flow
from .grid import Grid, Tile, cells_in
from .problems import Problem
from .regimes import classify_envelope
from .run import Run
from .solve import solve_tile
from .store import Store
from .tile import envelope_of_tile

DEFAULT_STEPS = 20_000


def sweep(
    problem: Problem,
    dynamics: Callable | Discrete | Flow,
    grid: Grid,
    *,
    steps: int | None = None,
    time: float | None = None,
    windows: int = 256,
    dtype: str = "float64",
    store: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    lanes: int | None = None,
) -> xr.Dataset:
    """Run every cell of a grid and say in which regime it is.

    **Arguments:**

    - `problem`: what to minimize; one of `phasejax.problems` or your own `phasejax.Problem`.
    - `dynamics`: a function of hyper-parameters that returns an `optax.GradientTransformation`:
        `phasejax.adam`, `phasejax.rmsprop`, `optax.adamw`, your own. With `time`, one that
        returns a `phasejax.VectorField`: `phasejax.adam_flow`, `phasejax.rmsprop_flow`,
        `phasejax.signgd_flow`, your own, or a `phasejax.Flow` of it, with a solver and tolerances.
    - `grid`: axes and fixed values of the hyper-parameters, by the names `dynamics` gives them,
        and `seed`.
    - `steps`: optimizer steps per cell; 20,000 if left out.
    - `time`: length of a flow, instead of steps; k steps of learning rate η are the time kη.
    - `windows`: the curve of a cell is kept as statistics of this many windows of steps or time.
    - `dtype`: "float64", or "float32", which warns: rounding hides what is deep down.
    - `store`: a folder for the results (Zarr v3); `None` keeps them in memory.
    - `overwrite`, `resume`: what to do if `store` is there: replace it, or run the tiles that it
        lacks. A resumed sweep must have the same configuration, devices included.
    - `lanes`: cells that a device advances at once; by default measured where a sweep is
        long enough, and remembered. The same lanes give the same bits; others may round
        differently, and chaotic cells amplify rounding.

    Returns an `xarray.Dataset` with the grid's axes and `window` as dimensions: `loss_min`,
    `loss_max`, `loss_mean`, `log10_loss_mean` per window; `regime`, `margin` and the features per
    cell; the whole configuration as attributes. A flow adds `solver_steps`, `end_time`,
    `implicit_from` and `loss_floor` per cell; a cell that used up its solver steps is `unresolved`.

    Raises a `ValueError` or `TypeError` that names the argument before anything is computed. A
    tile that fails at run time leaves its cells unlabelled (−1), with a warning, the error in the
    attribute `failures`, and all other cells intact.
    """
    results = Store(store)
    if resume and overwrite:
        raise ValueError("overwrite and resume exclude each other: choose one")
    if results.exists() and not (resume or overwrite):
        raise bad("store", str(store), "a new path, or given with overwrite or resume")
    stored = results.open().attrs if results.exists() and resume else None
    family, extent = _dynamics_and_extent(dynamics, steps, time)
    run = Run(
        problem=problem,
        grid=grid,
        dynamics=family,
        extent=extent,
        windows=windows,
        dtype=dtype,
        given_lanes=stored.get("lanes") if stored and lanes is None else lanes,
    )
    run.check()
    if stored is not None:
        run.check_same(stored)
    else:
        shapes = tuple(grid.axes), run.tile_shape
        results.create(run.coordinates(), *shapes, dtype, run.label_attributes)
    if dtype == "float32":
        warnings.warn(
            "dtype = 'float32': losses below about 1e-14 of the initial loss are rounding, and "
            "the deep spikes of b >> a drown in it; use float64 to tell regimes apart",
            stacklevel=2,
        )
    _run_tiles(run, results)
    return results.open()


def _dynamics_and_extent(
    dynamics: Callable | Discrete | Flow, steps: int | None, time: float | None
) -> tuple[Discrete | Flow, int | float]:
    """Tell optimizers, which have steps, from flows, which have a time."""
    if time is not None or isinstance(dynamics, Flow):
        if steps is not None:
            raise bad("steps", steps, "left out for a flow, which has a time instead")
        if isinstance(dynamics, Discrete):
            raise bad("time", time, "left out for an optimizer, which has steps instead")
        if time is None:
            raise ValueError("time is missing: a flow needs its length, such as time=20.0")
        return dynamics if isinstance(dynamics, Flow) else Flow.of(dynamics), float(time)
    optimizer = dynamics if isinstance(dynamics, Discrete) else Discrete.of(dynamics)
    return optimizer, DEFAULT_STEPS if steps is None else steps


def _run_tiles(run: Run, results: Store) -> None:
    """Run what is not there yet, one tile after the other, with progress on a terminal."""
    tiles = run.grid.tiles(run.tile_shape)
    todo = [tile for tile in tiles if not results.finished(tile)]
    failures: list[str] = []
    done = run.grid.size - sum(cells_in(tile) for tile in todo)
    with jax.enable_x64(run.dtype == "float64"), _progress(run, done) as progress:
        for tile in todo:
            try:
                _run_tile(run, results, tile, progress)
                done += cells_in(tile)
                progress.set_postfix_str(f"{done}/{run.grid.size} cells")
            except (RuntimeError, MemoryError, OSError) as error:
                failures.append(f"{_where(run.grid, tile)}: {error}")
    results.close(failures)
    if failures:
        warnings.warn(
            f"{len(failures)} of {len(tiles)} tiles failed and are unlabelled; the first: "
            f"{failures[0]}",
            RuntimeWarning,
            stacklevel=3,
        )


def _run_tile(run: Run, results: Store, tile: Tile, progress: tqdm) -> None:
    if isinstance(run.dynamics, Flow):
        envelope, solved = solve_tile(run, tile, progress.update)
    else:
        envelope, solved = envelope_of_tile(run, tile, progress.update), None
    shape = envelope.loss_min.shape[:-1]
    initial = dict(zip(run.seeds, run.initial_loss, strict=True))
    seeds = run.grid.cells(tile).get("seed", np.full(shape, run.seeds[0]))
    initial_loss = np.array([initial[int(seed)] for seed in seeds.ravel()]).reshape(shape)
    eps = float(np.finfo(run.dtype).eps)
    labels = classify_envelope(envelope, initial_loss, eps, run.extent, solved=solved)
    results.write(tile, envelope, labels)


def _progress(run: Run, cells_done: int) -> tqdm:
    """Cell-steps (or time) done, their rate and the time left, on a terminal's standard error."""
    flow = isinstance(run.dynamics, Flow)
    return tqdm(
        total=run.grid.size * run.extent,
        initial=cells_done * run.extent,
        unit="cell-time" if flow else "cell-step",
        unit_scale=True,
        desc=f"time {run.extent:g}" if flow else f"{run.extent} steps",
        disable=None,
    )


def _where(grid: Grid, tile: Tile) -> str:
    cells = grid.cells(tile)
    return ", ".join(f"{name} {v.min():g} to {v.max():g}" for name, v in cells.items())
