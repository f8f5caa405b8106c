"""The main job: run every cell of a grid, tile by tile, and store envelopes and regimes."""

import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from ._check import bad
from .dynamics import Discrete
from .grid import Grid, Tile, cells_in
from .problems import Problem
from .regimes import classify_envelope
from .run import Run
from .store import Store
from .tile import envelope_of_tile


def sweep(
    problem: Problem,
    dynamics: Callable | Discrete,
    grid: Grid,
    *,
    steps: int = 20_000,
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
        `phasejax.adam`, `phasejax.rmsprop`, `optax.adamw`, your own.
    - `grid`: axes and fixed values of the hyper-parameters, by the names `dynamics` gives them,
        and `seed`.
    - `steps`: optimizer steps per cell.
    - `windows`: the curve of a cell is kept as statistics of this many windows of steps.
    - `dtype`: "float64", or "float32", which warns: rounding hides what is deep down.
    - `store`: a folder for the results (Zarr v3); `None` keeps them in memory.
    - `overwrite`, `resume`: what to do if `store` is there: replace it, or run the tiles that it
        lacks. A resumed sweep must have the same configuration, devices included.
    - `lanes`: cells that a device advances at once; by default measured where a sweep is
        long enough, and remembered. The same lanes give the same bits; others may round
        differently, and chaotic cells amplify rounding.

    Returns an `xarray.Dataset` with the grid's axes and `window` as dimensions: `loss_min`,
    `loss_max`, `loss_mean`, `log10_loss_mean` per window; `regime`, `margin` and the features per
    cell; the whole configuration as attributes.

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
    run = Run(
        problem=problem,
        grid=grid,
        dynamics=dynamics if isinstance(dynamics, Discrete) else Discrete.of(dynamics),
        steps=steps,
        windows=windows,
        dtype=dtype,
        given_lanes=stored.get("lanes") if stored and lanes is None else lanes,
    )
    run.check()
    if stored is not None:
        run.check_same(stored)
    else:
        results.create(run.coordinates(), tuple(grid.axes), run.tile_shape, dtype)
    if dtype == "float32":
        warnings.warn(
            "dtype = 'float32': losses below about 1e-14 of the initial loss are rounding, and "
            "the deep spikes of b >> a drown in it; use float64 to tell regimes apart",
            stacklevel=2,
        )
    _run_tiles(run, results)
    return results.open()


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
    envelope = envelope_of_tile(run, tile, progress.update)
    shape = envelope.loss_min.shape[:-1]
    initial = dict(zip(run.seeds, run.initial_loss, strict=True))
    seeds = run.grid.cells(tile).get("seed", np.full(shape, run.seeds[0]))
    initial_loss = np.array([initial[int(seed)] for seed in seeds.ravel()]).reshape(shape)
    eps = float(np.finfo(run.dtype).eps)
    labels = classify_envelope(envelope, initial_loss, eps, run.steps)
    results.write(tile, envelope, labels)


def _progress(run: Run, cells_done: int) -> tqdm:
    """Cell-steps done, their rate and the time left, on standard error if it is a terminal."""
    return tqdm(
        total=run.grid.size * run.steps,
        initial=cells_done * run.steps,
        unit="cell-step",
        unit_scale=True,
        desc=f"{run.steps} steps",
        disable=None,
    )


def _where(grid: Grid, tile: Tile) -> str:
    cells = grid.cells(tile)
    return ", ".join(f"{name} {v.min():g} to {v.max():g}" for name, v in cells.items())
