"""Which cell sits where: every device has its share of them, in groups of `block_size`."""

import math
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Int, PyTree

from ..problems.problem import start_noise
from . import kernel

if TYPE_CHECKING:
    from .spec import Run

Places = Int[np.ndarray, " batch"]


def spread(cells: Int[np.ndarray, " cells"], run: "Run") -> Places:
    """Give each device its share of the cells; −1 marks a place that is free."""
    places = np.full((run.mesh.size, run.batch // run.mesh.size), -1)
    for row, share in zip(places, np.array_split(cells, run.mesh.size), strict=True):
        row[: len(share)] = share
    return places.ravel()


def groups_for(cells: int | np.integer, run: "Run") -> int:
    """Groups of lanes that each device needs for so many cells in all."""
    return math.ceil(math.ceil(cells / run.mesh.size) / run.lanes)


def start_cells(
    run: "Run", program: Any, cells: dict[str, np.ndarray], place: Int[np.ndarray, " places"]
) -> tuple[PyTree, PyTree, PyTree]:
    """Fixed numbers, and the hyper-parameters and state of the cell at each place.

    `cells` are the values of all axes, `[cells]` each, of cells that `program` runs.
    """
    compiled_in = {"seed", *run.structure.axes}
    hyper = {n: v[place].astype(run.dtype) for n, v in cells.items() if n not in compiled_in}
    seeds = cells["seed"][place] if "seed" in cells else np.full(len(place), run.seeds[0])
    drawn = np.searchsorted(run.sorted_seeds, seeds)
    params = jax.tree.map(
        lambda *leaves: np.stack(leaves).astype(run.dtype)[drawn],
        *(run.starts[seed] for seed in run.sorted_seeds),
    )
    numbers = run.structure.numbers
    fixed = {name: np.asarray(value, run.dtype) for name, value in numbers.items()}
    noise = ()
    if run.problem.batch_loss is not None:
        noises = map(start_noise, run.sorted_seeds)
        noise = jax.tree.map(lambda *leaves: np.stack(leaves)[drawn], *noises)
    fixed = jax.device_put(fixed, NamedSharding(run.mesh, kernel.SHARED))
    hyper, params, noise = on_devices(run, (hyper, params, noise))
    return fixed, hyper, kernel.start(run.mesh, program, fixed, hyper, params, noise)


def gather(
    run: "Run", kept: Int[np.ndarray, " cells"], arrays: PyTree
) -> tuple[Int[np.ndarray, " batch"], PyTree]:
    """Move what is at the places `kept` to the front of all devices, and the rest behind it.

    Returns the old place of what each new place holds, and the arrays so ordered.
    """
    order = spread(kept, run)
    others = np.ones(run.batch, bool)
    others[kept] = False
    order[order < 0] = np.flatnonzero(others)
    return order, on_devices(run, jax.tree.map(lambda x: np.asarray(x)[order], arrays))


def on_devices(run: "Run", arrays: PyTree) -> PyTree:
    """Put arrays `[batch, ...]` where their places are."""
    return jax.device_put(arrays, NamedSharding(run.mesh, kernel.CELLS))
