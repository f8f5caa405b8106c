"""The compiled program: a batch of cells, started and advanced.

Cells lie along the first axis of every array and are split evenly over the devices of the mesh.
Everything that is a number (data, hyper-parameters, window lengths, tolerances) is an argument, so
another grid of the same shape runs the same program.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._types import AnyArray

CELLS, SHARED = PartitionSpec("cells"), PartitionSpec()
Fixed = dict[str, Float[Array, ""]]
Hyper = dict[str, Float[Array, " cells"]]

# No collectives here, and optimizers of others make constants that do not vary over the mesh.
shard_map = functools.partial(jax.shard_map, check_vma=False)
F = TypeVar("F", bound=Callable)


def jit(function: F) -> F:
    """Compile a function; whatever is no array in its arguments is compiled in."""
    # LLVM uses half of an AVX-512 register unless told otherwise.
    options = {"xla_cpu_prefer_vector_width": 512}
    return eqx.filter_jit(function, compiler_options=options)  # pyright: ignore[reportCallIssue]


@jit
def start(
    mesh: Mesh, dynamics: Any, fixed: Fixed, hyper: Hyper, params: PyTree, keys: PyTree
) -> PyTree:
    """Start every cell: all but `fixed` have a leading axis `[cells]`."""

    def device(fixed, *cells):
        return jax.vmap(lambda hyper, *cell: dynamics.start(fixed | hyper, *cell))(*cells)

    specs = (SHARED, CELLS, CELLS, CELLS)
    return shard_map(device, mesh=mesh, in_specs=specs, out_specs=CELLS)(fixed, hyper, params, keys)


@jit
def advance(
    mesh: Mesh,
    dynamics: Any,
    loss: Any,
    fixed: Fixed,
    hyper: Hyper,
    state: PyTree,
    portion: PyTree,
    lanes: int,
    groups: Int[AnyArray, ""],
) -> tuple[PyTree, PyTree]:
    """Advance cells by a portion of their run, whose numbers are what `dynamics.advance` takes.

    Returns the state, and what `dynamics.advance` returns beside it, `[cells, ...]`. A device takes
    `block_size` cells at once, few enough to stay in a processor core's cache, and one such group
    after the other. `block_size` divides the cells of a device, of which the first `groups` groups
    are run; the others stay as they are, and what is returned beside them means nothing.
    """
    arrays, functions = eqx.partition(loss, eqx.is_array)

    def device(arrays, portion, groups, fixed, hyper, state):
        loss = eqx.combine(arrays, functions)

        def run(hyper, state):
            return dynamics.advance(loss, fixed, hyper, state, portion)

        def take(group, arrays):
            return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, group * lanes, lanes), arrays)

        def body(group, done):
            parts = run(*take(group, (hyper, done[0])))
            return jax.tree.map(
                lambda x, part: lax.dynamic_update_slice_in_dim(x, part, group * lanes, 0),
                done,
                parts,
            )

        _, one = jax.eval_shape(run, *take(0, (hyper, state)))
        cells = jax.tree.leaves(state)[0].shape[0]
        beside = jax.tree.map(lambda x: jnp.zeros((cells, *x.shape[1:]), x.dtype), one)
        return lax.fori_loop(0, groups, body, (state, beside))

    specs = (SHARED, SHARED, SHARED, SHARED, CELLS, CELLS)
    return shard_map(device, mesh=mesh, in_specs=specs, out_specs=CELLS)(
        arrays, portion, groups, fixed, hyper, state
    )


@jit
def ended(mesh: Mesh, dynamics: Any, loss: Any, state: PyTree) -> Bool[Array, " cells"]:
    """Say of every cell whether a loss of zero, or one that is not finite, is its last word."""
    arrays, functions = eqx.partition(loss, eqx.is_array)

    def device(arrays, state):
        loss = eqx.combine(arrays, functions)
        return jax.vmap(lambda state: dynamics.ended(loss, state))(state)

    return shard_map(device, mesh=mesh, in_specs=(SHARED, CELLS), out_specs=CELLS)(arrays, state)
