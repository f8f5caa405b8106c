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
Fixed = dict[str, Float[Array, ""]]
Hyper = dict[str, Float[Array, " cells"]]


@eqx.filter_jit
def start(mesh: Mesh, dynamics: Any, fixed: Fixed, hyper: Hyper, params: PyTree) -> PyTree:
    """Start every cell: `hyper` and `params` have a leading axis `[cells]`, `fixed` has none."""

    def cells(fixed, hyper, params):
        return jax.vmap(lambda hyper, params: dynamics.start(fixed | hyper, params))(hyper, params)

    return jax.shard_map(
        cells, mesh=mesh, in_specs=(SHARED, CELLS, CELLS), out_specs=CELLS, check_vma=False
    )(fixed, hyper, params)


@eqx.filter_jit
def advance(
    mesh: Mesh,
    dynamics: Any,
    loss: Any,
    fixed: Fixed,
    hyper: Hyper,
    state: PyTree,
    lengths: Int[AnyArray, " windows"],
    lanes: int,
) -> tuple[PyTree, Envelope]:
    """Advance every cell by windows of `lengths` steps; envelopes are `[cells, windows]`.

    A device takes `lanes` cells at once, few enough to stay in a processor core's cache, and one
    such group after the other; `lanes` divides the cells of a device.
    """
    arrays, functions = eqx.partition(loss, eqx.is_array)

    def cells(arrays, lengths, fixed, hyper, state):
        loss = eqx.combine(arrays, functions)

        def cell(hyper, state):
            def window(state, length):
                return dynamics.advance(loss, fixed | hyper, state, length)

            return jax.lax.scan(window, state, lengths)

        split, join = (-1, lanes), (-1,)
        groups = jax.tree.map(lambda x: x.reshape(split + x.shape[1:]), (hyper, state))
        done = jax.lax.map(lambda group: jax.vmap(cell)(*group), groups)
        return jax.tree.map(lambda x: x.reshape(join + x.shape[2:]), done)

    return jax.shard_map(
        cells,
        mesh=mesh,
        in_specs=(SHARED, SHARED, SHARED, CELLS, CELLS),
        out_specs=CELLS,
        check_vma=False,  # no collectives here, and optimizers of others make unvarying constants
    )(arrays, lengths, fixed, hyper, state)
