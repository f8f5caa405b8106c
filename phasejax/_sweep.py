"""`phasejax.sweep`: run every cell of a grid, and keep envelopes and regimes."""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ._check import ArgumentError, bad, choice, whole
from ._types import Whole
from .devices import check_platform
from .dynamics import Dynamics
from .dynamics.names import as_dynamics
from .engine.executors import as_executor
from .engine.metadata import check_same, coordinates, curve_attributes
from .engine.placement import Placement
from .engine.schedule import run_all
from .engine.spec import Spec
from .engine.tasks import Job, placement_of
from .engine.tuning import choose_placement
from .grid import MOST_VALUES, Grid
from .probes import Probe
from .probes.names import as_probes
from .probes.validation import Validation
from .problems import Problem
from .regimes import UNLABELLED, label_attributes
from .results.format import STATUS
from .results.store import Store

DEFAULT_STEPS = 20_000
"""Steps of a cell by default."""
MOST_STEPS = 2**31 - 1
"""Largest `steps`: the largest 32-bit integer, by which a program counts."""


def sweep(
    problem: Problem,
    dynamics: Callable | Dynamics,
    grid: Grid,
    *,
    steps: Whole | None = None,
    time: float | None = None,
    windows: Whole = 256,
    dtype: str = "float64",
    store: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    block_size: Whole | None = None,
    refine: Whole | Mapping[str, Whole] | None = None,
    executor: Executor | Any = None,
    probes: Sequence[str | Probe | Callable] = (),
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
    - `windows`: the loss of a cell is stored as statistics of this many windows of steps or time.
    - `dtype`: "float64", or "float32", which warns: rounding hides low losses.
    - `store`: a folder for the results (Zarr v3); `None` keeps them in memory.
    - `overwrite`, `resume`: what to do if `store` exists: replace it, or run the tiles that it
        lacks. A resumed sweep must have the same configuration, devices included. Only a store that
        phasejax wrote is replaced, and one process at a time writes to it; others may read it.
    - `block_size`: cells that a device advances at once; by default measured if the sweep is
        long enough to repay it, and remembered. The same size gives the same bits; another may
        round differently, and chaotic cells amplify rounding.
    - `refine`: target number of values of the grid's even axes (`log_axis`, `linear_axis`), one
        number for all axes, or one per axis by name. The sweep starts with the grid as it is; then
        only cells near borders between regimes are computed (`status` 1), the others get the regime
        around them (`status` 2) and no envelope.
    - `executor`: a `concurrent.futures.Executor`, or a `distributed.Client` of Dask, whose workers
        run the tiles and, where `store` is a folder that all of them see, write them. By default
        they run here.
    - `probes`: what else to measure along every run: names (`phasejax.probes.BUILT_IN`), objects
        such as `phasejax.probes.Norms()`, and functions of (params, grads, updates, state).

    Returns an `xarray.Dataset` with the grid's axes and `window` as dimensions: `loss_min`,
    `loss_max`, `loss_mean`, `log10_loss_mean` and, for an optimizer, `relative_step` per window;
    `regime`, `margin` and the features per cell; the whole configuration as attributes. A flow adds
    `solver_steps`, `end_time`, `implicit_from` and `loss_floor` per cell; a cell that used up its
    solver steps is `unresolved`.

    Raises a `ValueError` or `TypeError` that names the argument before anything is computed. Cells
    that fail at run time stay unlabelled (−1), with a warning, the error in the attribute
    `failures`, and all others intact. An `OSError` says that the store can't be written,
    for example because the disk is full; finished tiles are kept, and the sweep can be resumed.
    """
    if resume and overwrite:
        raise ArgumentError("overwrite", " and resume exclude each other: choose one")
    check_platform()
    with Store(store) as results:
        stored = _opened(results, store, overwrite, resume)
        size = _block_size(block_size, stored)
        spec = specification(problem, dynamics, grid, steps, time, windows, dtype, refine, probes)
        executor = as_executor(executor)
        job = Job(spec, _placement(spec, size, executor, stored))
        _warn_before(spec)
        if stored is not None:
            check_same(*job, stored)
        else:
            labels = label_attributes(spec.dynamics.unit, spec.dynamics.cell_variables)
            results.create(coordinates(*job), curve_attributes(spec), labels)
        try:
            failures = run_all(job, results, executor)
            results.close(failures)
        except KeyboardInterrupt as interrupt:
            if results.path is not None:
                interrupt.add_note("finished tiles are kept: continue with resume=True")
            raise
        _warn_after(spec, results, failures)
        return results.open()


def _opened(
    results: Store, store: str | Path | None, overwrite: bool, resume: bool
) -> xr.Dataset | None:
    """Lock a store that exists, and return the sweep to resume, if there is one."""
    if results.exists():
        if not (resume or overwrite):
            raise bad("store", str(store), "a new path, or given with overwrite or resume")
        results.lock()
    return results.open() if resume and results.laid_out() else None


def specification(
    problem: Problem,
    dynamics: Callable | Dynamics,
    grid: Grid,
    steps: Whole | None,
    time: float | None,
    windows: Whole,
    dtype: str,
    refine: Whole | Mapping[str, Whole] | None,
    probes: Sequence[str | Probe | Callable],
) -> Spec:
    """Check the arguments that decide what a sweep computes."""
    moving = as_dynamics(dynamics, "step" if time is None else "time")
    horizon = _horizon(moving, steps, time)
    windows = whole("windows", windows, least=8)
    if not isinstance(grid, Grid):
        raise TypeError(f"grid = {grid!r} must be a phasejax.Grid")
    start, counts = _refined(grid, refine)
    fine = grid.with_counts(counts)
    if "total_steps" in moving.missing({**fine.axes, **fine.fixed}):
        fine = Grid(**fine.axes, **fine.fixed, total_steps=horizon)
    spec = Spec(problem, moving, fine, horizon, windows, dtype, refined_from=start)
    if probed := _probes(problem, moving, probes):
        spec = spec.with_probes(probed)
    spec.check()
    return spec


def _probes(
    problem: Problem, dynamics: Dynamics, given: Sequence[str | Probe | Callable]
) -> list[Probe]:
    """Return the probes that a user gave, and that of held-out data."""
    probes = as_probes(given)
    asked = any(isinstance(probe, Validation) for probe in probes)
    held_out = getattr(problem, "validation_loss", None) is not None and dynamics.unit == "step"
    return [*probes, Validation()] if held_out and not asked else probes


def _block_size(given: Whole | None, stored: xr.Dataset | None) -> int | None:
    """Return the given block size, or that of the sweep to resume; `None` if it is to be chosen."""
    if given is not None:
        return whole("block_size", given)
    return None if stored is None else stored.attrs["block_size"]


def _placement(
    spec: Spec, block_size: int | None, executor: Executor | None, stored: xr.Dataset | None
) -> Placement:
    """Place the cells on the devices of this process or of a worker, in the tiles of a store."""
    place = choose_placement if executor is None else functools.partial(placement_of, executor)
    placement = place(spec, block_size)
    if stored is not None:
        tile = stored[STATUS].encoding.get("chunks", placement.tile_shape)  # none if it is lost
        placement = replace(placement, tile_shape=tile)
    if spec.dtype == "float64" and placement.platform == "tpu":
        raise bad("dtype", spec.dtype, "'float32' on a TPU, which has no float64")
    return placement


def _refined(
    grid: Grid, refine: Whole | Mapping[str, Whole] | None
) -> tuple[dict[str, int], dict[str, int]]:
    """Number of values that refined axes start with, and target number, by name."""
    even = {name: axis for name, axis in grid.axes.items() if axis.even and name != "seed"}
    counts = refine if isinstance(refine, Mapping) else dict.fromkeys(even, refine or 0)
    if refine is None:
        return {}, {}
    if not even:
        raise bad("refine", refine, "left out, or the grid given an axis that is a range")
    for name in counts:
        choice("refine", name, even)
    most = MOST_VALUES
    wanted = {name: whole("refine", count, len(even[name]), most) for name, count in counts.items()}
    return {name: len(even[name]) for name in counts}, wanted


def _horizon(dynamics: Dynamics, steps: Whole | None, time: float | None) -> int | float:
    """Return the steps or the time of a run, whichever its dynamics has."""
    if dynamics.unit == "step":
        if time is not None:
            raise bad("time", time, "left out for an optimizer, which has steps instead")
        return whole("steps", DEFAULT_STEPS if steps is None else steps, most=MOST_STEPS)
    if steps is not None:
        raise bad("steps", steps, "left out for a flow, which has a time instead")
    if time is None:
        raise ArgumentError("time", " is missing: a flow needs its length, such as time=20.0")
    if isinstance(time, bool) or not isinstance(time, int | float | np.number):
        raise bad("time", time, "a finite number greater than 0")
    return float(time)


def _warn_before(spec: Spec) -> None:
    """Warn of gradients that are not finite at the start, and of float32."""
    wrong = {
        seed: norm
        for seed, norm in zip(spec.seeds, spec.initial_gradient_norm, strict=True)
        if not np.isfinite(norm)
    }
    if wrong:
        seed, norm = next(iter(wrong.items()))
        warnings.warn(
            f"gradient of problem '{spec.problem.name}' is {norm} at the start of seed {seed} "
            f"({len(wrong)} of {len(spec.seeds)} seeds), though its loss is finite: expect "
            "divergence in every cell; sqrt and norm have no derivative at zero, for instance",
            RuntimeWarning,
            stacklevel=3,
        )
    if spec.dtype == "float32":
        warnings.warn(
            "dtype = 'float32': losses below about 1e-14 of the initial loss are rounding, which "
            "hides the low losses between the spikes of b >> a; use float64 to tell regimes apart",
            stacklevel=3,
        )


def _warn_after(spec: Spec, results: Store, failures: list[str]) -> None:
    """Warn of cells that have no label: their task failed, or their loss fell too low."""
    if failures:
        warnings.warn(
            f"{len(failures)} tasks failed, and their cells are unlabelled; the first: "
            f"{failures[0]}",
            RuntimeWarning,
            stacklevel=3,
        )
    cells = np.flatnonzero(results.computed())
    count = int(np.sum(results.labels(cells)[0] == UNLABELLED))
    if count and spec.problem.minimum is not None:
        warnings.warn(
            f"{count} of {len(cells)} computed cells are unlabelled: their loss fell below the "
            f"problem's minimum {spec.problem.minimum:g}",
            RuntimeWarning,
            stacklevel=3,
        )
