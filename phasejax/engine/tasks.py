"""Tasks: cells that are computed, labelled and stored together, here or by an executor's workers.

A task has the missing cells of as many tiles as fit in the slots. A tile is never divided between
tasks, so no two of them write to one tile.
"""

import concurrent.futures
import functools
import itertools
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cloudpickle
import numpy as np

from .._precision import precision
from ..dynamics import Flow
from ..envelope import Solved, Windows
from ..grid import Cells, by_tile
from ..regimes import classify_envelope
from ..results.gathered import Gathered
from ..results.opening import StoreError
from ..results.store import Store
from .adaptive import run_adaptive
from .checkpoint import Checkpoint
from .placement import Placement
from .spec import Spec
from .steps import run_steps
from .tuning import choose_placement

Progress = Callable[[float], object]
"""Receives the steps or the time that were done, summed over cells."""
Outcome = tuple[Cells, BaseException | None]
"""Cells of a task, and its error, if it failed."""
Ran = tuple[Windows, Solved | None]
"""What is known of the cells of a task, and for a flow how its solver ended."""
Computed = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
"""Variables of the cells of a task by name: `[cells, window]` and `[cells]`."""

FAILURES = (RuntimeError, MemoryError, OSError)
"""Errors that cost a sweep one task."""


class Job(NamedTuple):
    """What to compute, and how it is placed: everything that a task needs besides its cells."""

    spec: Spec
    placement: Placement


def tasks(job: Job, cells: Cells) -> list[Cells]:
    """Divide ascending cells into tasks, each of ascending cells of one program."""
    return [task for alike in job.spec.alike(cells) for task in _of_whole_tiles(job, alike)]


def _of_whole_tiles(job: Job, cells: Cells) -> list[Cells]:
    """Divide cells into tasks, and no tile between two of them."""
    parts: list[list[Cells]] = []
    room = 0
    for _, where in by_tile(cells, job.spec.grid.shape, job.placement.tile_shape):
        if len(where) > room:
            parts.append([])
            room = job.placement.slots
        parts[-1].append(cells[where])
        room -= len(where)
    return [np.sort(np.concatenate(part)) for part in parts]


def run(
    job: Job, cells: Cells, progress: Progress = lambda horizon: None, folder: Path | None = None
) -> Ran:
    """Run cells: windows `[cells, window]`, and for a flow how its solver ended, `[cells]`."""
    with precision(job.spec.dtype):
        if isinstance(job.spec.dynamics, Flow):
            envelope, solved = run_adaptive(*job, cells, progress, folder)
            return Windows(envelope, {}), solved
        return run_steps(*job, cells, progress, folder), None


def label(job: Job, cells: Cells, ran: Ran) -> Computed:
    """Label cells that have run; returns all their variables."""
    spec, ((envelope, measured), solved) = job.spec, ran
    initial_loss = spec.initial_loss[spec.seed_places(cells)]
    eps = float(np.finfo(spec.dtype).eps)
    minimum = spec.problem.minimum
    labels = classify_envelope(envelope, initial_loss, eps, spec.horizon, minimum, solved=solved)
    known = {name: x for name, x in envelope._asdict().items() if x is not None}
    probed = {name: np.asarray(x) for name, x in measured.items()}
    return {**known, **probed}, labels | spec.dynamics.describe(probed, spec.edges)


def keep(job: Job, store: Store | Gathered, cells: Cells, ran: Ran) -> None:
    """Label cells that have run, store them, and remove their checkpoint."""
    store.write(cells, *label(job, cells, ran))
    Checkpoint(store.checkpoints, cells).remove()


def run_here(
    job: Job, store: Store | Gathered, cells: Cells, progress: Progress
) -> Generator[Outcome]:
    """Run tasks one after the other; the others run even if one fails.

    A thread labels and stores a task while the next one runs.
    """
    kept: list[tuple[Cells, Future[None]]] = []
    with ThreadPoolExecutor(1) as thread:
        for task in tasks(job, cells):
            try:
                ran = run(job, task, progress, store.checkpoints)
            except FAILURES as error:
                yield task, error
                continue
            yield from itertools.starmap(_outcome, kept)
            kept = [(task, thread.submit(keep, job, store, task, ran))]
        yield from itertools.starmap(_outcome, kept)


def _outcome(task: Cells, kept: Future[None]) -> Outcome:
    """Wait until a task is stored. Raises the `StoreError` that ends a sweep."""
    try:
        kept.result()
    except StoreError:
        raise
    except FAILURES as error:
        return task, error
    return task, None


def placement_of(
    executor: concurrent.futures.Executor, spec: Spec, block_size: int | None
) -> Placement:
    """Let a worker place the cells on its devices; all workers must have the same devices."""
    return executor.submit(_place_there, cloudpickle.dumps(spec), block_size).result()


def run_on(
    executor: concurrent.futures.Executor,
    job: Job,
    store: Store | Gathered,
    cells: Cells,
    progress: Progress,
) -> Generator[Outcome]:
    """Run tasks by an executor; its workers write to the store if that is a folder."""
    packed, digest, address = cloudpickle.dumps(job), job.spec.digest, store.address
    futures = {
        executor.submit(_run_there, packed, digest, address, task): task
        for task in tasks(job, cells)
    }
    try:
        for future in concurrent.futures.as_completed(futures):
            task, error = futures[future], future.exception()
            if isinstance(error, StoreError | concurrent.futures.BrokenExecutor):
                raise error
            if error is None and (computed := future.result()) is not None:
                store.write(task, *computed)
            progress(len(task) * job.spec.horizon)
            yield task, error
    finally:
        for future in futures:
            future.cancel()


@functools.lru_cache(maxsize=2)
def _unpacked(packed: bytes, digest: str) -> Job:
    """Unpickle a job once per process, so that its programs are compiled once.

    Raises a `RuntimeError` if this process computes something else, or has other devices.
    """
    job: Job = cloudpickle.loads(packed)
    _ = job.placement.mesh
    if job.spec.digest != digest:
        raise RuntimeError(
            "this worker computes something else than the process that runs the sweep: a module "
            "that the loss or the optimizer uses has other constants, or another version, there"
        )
    return job


def _place_there(packed: bytes, block_size: int | None) -> Placement:
    return choose_placement(cloudpickle.loads(packed), block_size)


def _run_there(
    packed: bytes, digest: str, address: tuple[Path, str] | None, cells: Cells
) -> Computed | None:
    job = _unpacked(packed, digest)
    if address is None:
        return label(job, cells, run(job, cells))
    store = Store(*address)
    keep(job, store, cells, run(job, cells, folder=store.checkpoints))
    return None
