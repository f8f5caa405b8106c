"""Batches of cells, computed, labelled and stored: here, or by the workers of an executor.

A batch is as many whole tiles' wanted cells as fit on the devices at once, so that no two batches
write to one tile. What comes back from a batch is an error, or none.
"""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle
import numpy as np

from .._precision import precision
from ..dynamics import Flow
from ..envelope import Envelope
from ..grid import Cells, by_tile
from ..regimes import classify_envelope
from ..results.opening import StoreError
from ..results.store import Store
from .checkpoint import Checkpoint
from .solve import solve_cells
from .spec import Layout, Run
from .steps import run_cells

Progress = Callable[[float], object]
Outcome = tuple[Cells, BaseException | None]
Computed = tuple[Envelope, dict[str, np.ndarray]]


def batches(run: Run, cells: Cells) -> list[Cells]:
    """Part ascending cells into batches, each of whole tiles' cells, ascending and alike."""
    return [batch for alike in run.alike(cells) for batch in _of_whole_tiles(run, alike)]


def _of_whole_tiles(run: Run, cells: Cells) -> list[Cells]:
    parts: list[list[Cells]] = []
    room = 0
    for _, where in by_tile(cells, run.grid.shape, run.tile_shape):
        if len(where) > room:
            parts.append([])
            room = run.batch
        parts[-1].append(cells[where])
        room -= len(where)
    return [np.sort(np.concatenate(part)) for part in parts]


def compute(
    run: Run, cells: Cells, progress: Progress = lambda extent: None, folder: Path | None = None
) -> Computed:
    """Run cells and label them: envelopes `[cells, window]`, labels and features `[cells]`."""
    with precision(run.dtype):
        if isinstance(run.dynamics, Flow):
            envelope, solved = solve_cells(run, cells, progress, folder)
        else:
            envelope, solved = run_cells(run, cells, progress, folder), None
    initial = dict(zip(run.seeds, run.initial_loss, strict=True))
    seeds = run.grid.cells(cells).get("seed", np.full(len(cells), run.seeds[0]))
    initial_loss = np.array([initial[int(seed)] for seed in seeds])
    eps = float(np.finfo(run.dtype).eps)
    minimum = run.problem.minimum or 0.0
    labels = classify_envelope(envelope, initial_loss, eps, run.extent, minimum, solved=solved)
    return envelope, labels


def run_batch(run: Run, store: Store, cells: Cells, progress: Progress = lambda _: None) -> None:
    """Compute a batch and store it; a checkpoint that led there is of no use any more."""
    store.write(cells, *compute(run, cells, progress, store.checkpoints))
    Checkpoint(store.checkpoints, cells).remove()


def run_here(run: Run, store: Store, cells: Cells, progress: Progress) -> Iterator[Outcome]:
    """Run batches one after the other; one that fails does not keep the others from running."""
    for batch in batches(run, cells):
        try:
            run_batch(run, store, batch, progress)
        except StoreError:
            raise
        except (RuntimeError, MemoryError, OSError) as error:
            yield batch, error
        else:
            yield batch, None


def layout_of(executor: concurrent.futures.Executor, run: Run) -> Layout:
    """How cells lie on a worker's devices; all workers are taken to be alike."""
    return executor.submit(_layout_there, _packed(run)).result()


def run_on(
    executor: concurrent.futures.Executor, run: Run, store: Store, cells: Cells, progress: Progress
) -> Iterator[Outcome]:
    """Run batches by an executor, whose workers write to the store if that is a folder."""
    packed, address = _packed(run), store.address
    futures = {
        executor.submit(_run_there, packed, address, batch): batch for batch in batches(run, cells)
    }
    try:
        for future in concurrent.futures.as_completed(futures):
            batch, error = futures[future], future.exception()
            if isinstance(error, StoreError | concurrent.futures.BrokenExecutor):
                raise error
            if error is None and (computed := future.result()) is not None:
                store.write(batch, *computed)
            progress(len(batch) * run.extent)
            yield batch, error
    finally:
        for future in futures:
            future.cancel()


def _packed(run: Run) -> bytes:
    """A run as bytes, without what a process has worked out for itself."""
    return cloudpickle.dumps(dataclasses.replace(run, given_digest=run.digest))


@functools.lru_cache(maxsize=2)
def _unpacked(packed: bytes) -> Run:
    """The run of some bytes: one in a process, so that its programs are compiled once."""
    return cloudpickle.loads(packed)


def _layout_there(packed: bytes) -> Layout:
    return _unpacked(packed).layout_here()


def _run_there(packed: bytes, address: tuple[Path, str] | None, cells: Cells) -> Computed | None:
    run = _unpacked(packed)
    run.check_worker()
    if address is None:
        return compute(run, cells)
    run_batch(run, Store(*address), cells)
    return None
