"""The compiled program: a batch of cells, started and advanced window by window.

Cells lie along the first axis of every array and are split evenly over the devices of the mesh.
Everything that is a number (data, hyper-parameters, window lengths) is an argument, so another
grid of the same shape runs the same program.
"""

from typing import Any

import equinox as eqx
import jax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree

from ._types import AnyArray
from .envelope import Envelope

CELLS, SHARED = PartitionSpec("cells"), PartitionSpec()
Hyper = dict[str, Float[Array, " cells"]]


@eqx.filter_jit
def start(mesh: Mesh, dynamics: Any, hyper: Hyper, params: PyTree) -> PyTree:
    """Start every cell: `hyper` and `params` have a leading axis `[cells]`."""
    cells = jax.vmap(dynamics.start)
    return jax.shard_map(cells, mesh=mesh, in_specs=(CELLS, CELLS), out_specs=CELLS)(hyper, params)


@eqx.filter_jit
def advance(
    mesh: Mesh,
    dynamics: Any,
    loss: Any,
    hyper: Hyper,
    state: PyTree,
    lengths: Int[AnyArray, " windows"],
) -> tuple[PyTree, Envelope]:
    """Advance every cell by windows of `lengths` steps; envelopes are `[cells, windows]`."""
    arrays, functions = eqx.partition(loss, eqx.is_array)

    def cell(arrays, lengths, hyper, state):
        loss = eqx.combine(arrays, functions)

        def window(state, length):
            return dynamics.advance(loss, hyper, state, length)

        return jax.lax.scan(window, state, lengths)

    cells = jax.vmap(cell, in_axes=(None, None, 0, 0))
    return jax.shard_map(
        cells,
        mesh=mesh,
        in_specs=(SHARED, SHARED, CELLS, CELLS),
        out_specs=CELLS,
        check_vma=False,  # no collectives here, and optimizers of others make unvarying constants
    )(arrays, lengths, hyper, state)
