"""The main job: run the cells of a grid, task by task, and store envelopes and regimes."""

import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from ._check import ArgumentError, bad, choice, located, whole
from ._types import Whole
from .devices import check_platform
from .dynamics import Dynamics
from .dynamics.names import as_dynamics
from .engine.metadata import check_same, coordinates
from .engine.refinement import Refinement
from .engine.spec import Spec
from .engine.tasks import Job, placement_of, run_here, run_on
from .engine.tuning import choose_placement
from .grid import MOST_VALUES, Cells, Grid
from .identity import label
from .problems import Problem
from .regimes import UNLABELLED, label_attributes
from .results.store import Store

DEFAULT_STEPS = 20_000
MOST_STEPS = 2**31 - 1
"""Most steps: what fits the integers by which a program counts."""


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
        lacks. A resumed sweep must have the same configuration, devices included. Only a store that
        phasejax wrote is replaced, and one process at a time writes to it; others may read it.
    - `block_size`: cells that a device advances at once; by default measured where a sweep is
        long enough, and remembered. The same blocks give the same bits; others may round
        differently, and chaotic cells amplify rounding.
    - `refine`: target number of values of the grid's even axes (`log_axis`, `linear_axis`), one
        number for all axes, or one per axis by name. The sweep starts with the grid as it is; then
        only cells near borders between regimes are computed (`status` 1), the others get the regime
        around them (`status` 2) and no envelope.
    - `executor`: a `concurrent.futures.Executor`, or a `distributed.Client` of Dask, whose workers
        run the tiles and, where `store` is a folder that all of them see, write them. By default
        they run here.

    Returns an `xarray.Dataset` with the grid's axes and `window` as dimensions: `loss_min`,
    `loss_max`, `loss_mean`, `log10_loss_mean` and, for an optimizer, `relative_step` per window;
    `regime`, `margin` and the features per cell; the whole configuration as attributes. A flow adds
    `solver_steps`, `end_time`, `implicit_from` and `loss_floor` per cell; a cell that used up its
    solver steps is `unresolved`.

    Raises a `ValueError` or `TypeError` that names the argument before anything is computed. Cells
    that fail at run time stay unlabelled (−1), with a warning, the error in the attribute
    `failures`, and all others intact. An `OSError` says that the store can't be written any more,
    on a full disk for example; what was finished can be resumed.
    """
    if resume and overwrite:
        raise ArgumentError("overwrite", " and resume exclude each other: choose one")
    check_platform()
    with Store(store) as results:
        if results.exists():
            if not (resume or overwrite):
                raise bad("store", str(store), "a new path, or given with overwrite or resume")
            results.lock()
        stored = results.open() if resume and results.laid_out() else None
        moving = as_dynamics(dynamics, "step" if time is None else "time")
        horizon = _horizon(moving, steps, time)
        windows = whole("windows", windows, least=8)
        size = None if block_size is None else whole("block_size", block_size)
        if not isinstance(grid, Grid):
            raise TypeError(f"grid = {grid!r} must be a phasejax.Grid")
        start, counts = _refined(grid, refine)
        executor = _executor(executor)
        wide = grid.with_counts(counts)
        spec = Spec(problem, moving, wide, horizon, windows, dtype, refined_from=start)
        spec.check()
        if stored is not None and size is None:
            size = stored.attrs["block_size"]
        place = choose_placement if executor is None else functools.partial(placement_of, executor)
        placement = place(spec, size)
        if dtype == "float64" and placement.platform == "tpu":
            raise bad("dtype", dtype, "'float32' on a TPU, which has no float64")
        job = Job(spec, placement)
        _warn_of_gradients(spec)
        if stored is not None:
            check_same(*job, stored)
        else:
            labels = label_attributes(moving.unit, moving.cell_variables)
            results.create(coordinates(*job), moving.window_variables, labels)
        if dtype == "float32":
            warnings.warn(
                "dtype = 'float32': losses below about 1e-14 of the initial loss are rounding, and "
                "the deep spikes of b >> a drown in it; use float64 to tell regimes apart",
                stacklevel=2,
            )
        try:
            failures = _run_all(job, results, executor)
            results.close(failures)
        except KeyboardInterrupt as interrupt:
            if results.path is not None:
                interrupt.add_note("finished tiles are kept: go on with resume=True")
            raise
        if failures:
            warnings.warn(
                f"{len(failures)} tasks failed, and their cells are unlabelled; the first: "
                f"{failures[0]}",
                RuntimeWarning,
                stacklevel=2,
            )
        _warn_of_cells_below(spec, results)
        return results.open()


def _warn_of_cells_below(spec: Spec, results: Store) -> None:
    """Say how many cells have no label because their loss fell below what it can be."""
    cells = np.flatnonzero(results.computed())
    count = int(np.sum(results.labels(cells)[0] == UNLABELLED))
    if count:
        minimum = spec.problem.minimum
        cause = (
            "zero, and no minimum is given: give the problem its minimum, Problem(..., minimum=...)"
            if minimum is None
            else f"the problem's minimum {minimum:g}"
        )
        warnings.warn(
            f"{count} of {len(cells)} computed cells are unlabelled: their loss fell below {cause}",
            RuntimeWarning,
            stacklevel=3,
        )


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


def _warn_of_gradients(spec: Spec) -> None:
    """Say if a gradient is not finite at the start: hardly an optimizer survives it."""
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


def _executor(executor: Any) -> Executor | None:
    """Take an executor as it is, and Dask's client as the executor that it can be."""
    if executor is None or isinstance(executor, Executor):
        _check_start(executor)
        return executor
    if type(executor).__module__.startswith("distributed"):
        from .engine.cluster import executor_of

        return executor_of(executor)
    raise TypeError(
        f"executor = {executor!r} must be a concurrent.futures.Executor or a distributed.Client"
    )


def _check_start(executor: Executor | None) -> None:
    """Refuse a pool of processes that are forks of this one, in which JAX waits for ever."""
    # What concurrent.futures and loky call it.
    context = getattr(executor, "_mp_context", getattr(executor, "_context", None))
    method = getattr(context, "get_start_method", lambda: None)()
    if method == "fork":
        kind = type(executor).__name__
        allowed = "a pool whose processes JAX can run in: "
        allowed += f'{kind}(2, mp_context=multiprocessing.get_context("spawn"))'
        raise ValueError(f"executor = {kind} with the start method 'fork': must be {allowed}")


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


def _run_all(job: Job, results: Store, executor: Executor | None) -> list[str]:
    """Run what is not there yet; returns what failed. A terminal shows progress."""
    failures: list[str] = []
    spec, computed = job.spec, results.computed()
    with _progress(spec) as progress:

        def run_cells(cells: Cells) -> None:
            todo = cells[~computed[cells]]
            progress.total += spec.horizon * len(cells)
            progress.update(spec.horizon * (len(cells) - len(todo)))
            run_them = run_here if executor is None else functools.partial(run_on, executor)
            for task, error in run_them(job, results, todo, progress.update):
                if error is None:
                    computed[task] = True
                    progress.set_postfix_str(f"{computed.sum()}/{spec.grid.size} cells")
                else:
                    failures.append(f"{_where(spec.grid, task)}: {located(error) or error}")

        if not spec.refined_from:
            run_cells(np.arange(spec.grid.size))
            return failures
        axes = {list(spec.grid.axes).index(name): n for name, n in spec.refined_from.items()}
        refinement = Refinement(spec.grid.shape, axes)
        while (cells := refinement.ask()).size:
            run_cells(cells)
            refinement.tell(cells, *results.labels(cells))
        results.infer(refinement.labels, refinement.asked)
    return failures


def _progress(spec: Spec) -> tqdm:
    """Cell-steps (or time) done, their rate and the time left, on a terminal's standard error.

    A notebook shows it too. The total grows with what a refinement asks for.
    """
    steps = spec.dynamics.unit == "step"
    return tqdm(
        total=0,
        unit=f"cell-{spec.dynamics.unit}",
        unit_scale=True,
        desc=f"{spec.horizon} steps" if steps else f"time {spec.horizon:g}",
        disable=False if _in_notebook() else None,  # None: if this is no terminal
    )


def _in_notebook() -> bool:
    """Say whether a Jupyter kernel runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _where(grid: Grid, cells: Cells) -> str:
    values = grid.cells(cells)
    return ", ".join(f"{name} {_span(v)}" for name, v in values.items())


def _span(values: np.ndarray) -> str:
    if values.dtype == object:
        return ", ".join(dict.fromkeys(str(label(value)) for value in values))
    return f"{values.min():g} to {values.max():g}"
