"""The compiled program: cells started and advanced, spread over devices.

Cells lie along the first axis of every array and are split evenly over the devices of the mesh.
Everything that is a number (data, hyper-parameters, window lengths, tolerances) is an argument, so
another grid of the same shape runs the same program.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._types import AnyArray
from ..program import Program, ended_cells, start_cells

CELLS = PartitionSpec("cells")
"""Sharding of arrays `[cells, ...]`: each device has a part."""
SHARED = PartitionSpec()
"""Sharding of arrays that every device has in full."""
Fixed = dict[str, Float[Array, ""]]
"""Hyper-parameters that are the same for all cells, by name."""
Hyper = dict[str, Float[Array, " cells"]]
"""Hyper-parameters of each cell, by name."""

# No collectives here; and users' optimizers make constants that the check takes for an error.
shard_map = functools.partial(jax.shard_map, check_vma=False)
F = TypeVar("F", bound=Callable)


def jit(function: F) -> F:
    """Compile a function; arguments that are not arrays are compiled in."""
    # LLVM uses half of an AVX-512 register unless told otherwise.
    options = {"xla_cpu_prefer_vector_width": 512}
    return eqx.filter_jit(function, compiler_options=options)  # pyright: ignore[reportCallIssue]


class Launch(NamedTuple):
    """What is compiled in: devices, program, loss (its arrays are arguments) and block size."""

    mesh: Mesh
    program: Program
    loss: Any
    block_size: int


@jit
def start(
    mesh: Mesh, program: Program, fixed: Fixed, hyper: Hyper, params: PyTree, noise: PyTree
) -> PyTree:
    """Start every cell: all but `fixed` have a leading axis `[cells]`."""

    device = functools.partial(start_cells, program)
    specs = (SHARED, CELLS, CELLS, CELLS)
    mapped = shard_map(device, mesh=mesh, in_specs=specs, out_specs=CELLS)
    return mapped(fixed, hyper, params, noise)


@jit
def advance(
    launch: Launch,
    fixed: Fixed,
    hyper: Hyper,
    state: PyTree,
    portion: PyTree,
    blocks: Int[AnyArray, ""],
) -> tuple[PyTree, PyTree]:
    """Advance cells by one segment; `portion` is the argument of `Program.advance`.

    Returns both results of `Program.advance`, `[cells, ...]`. A device advances
    one block of cells after the other, each small enough for a processor core's cache. The block
    size divides the cells of a device. Only the first `blocks` blocks are run: other cells keep
    their state, and the second result is zero for them.
    """
    mesh, program, loss, size = launch
    arrays, functions = eqx.partition(loss, eqx.is_array)

    def device(arrays, portion, blocks, fixed, hyper, state):
        loss = eqx.combine(arrays, functions)

        @functools.partial(jax.jit, inline=True)  # traced once, for both uses
        def run(hyper, state):
            return program.advance(loss, fixed, hyper, state, portion)

        def take(block, arrays):
            return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, block * size, size), arrays)

        def body(block, done):
            parts = run(*take(block, (hyper, done[0])))
            return jax.tree.map(
                lambda x, part: lax.dynamic_update_slice_in_dim(x, part, block * size, 0),
                done,
                parts,
            )

        _, one = jax.eval_shape(run, *take(0, (hyper, state)))
        cells = jax.tree.leaves(state)[0].shape[0]
        returned = jax.tree.map(lambda x: jnp.zeros((cells, *x.shape[1:]), x.dtype), one)
        return lax.fori_loop(0, blocks, body, (state, returned))

    specs = (SHARED, SHARED, SHARED, SHARED, CELLS, CELLS)
    mapped = shard_map(device, mesh=mesh, in_specs=specs, out_specs=CELLS)
    return mapped(arrays, portion, blocks, fixed, hyper, state)


@jit
def ended(
    mesh: Mesh, program: Program, loss: Any, fixed: Fixed, hyper: Hyper, state: PyTree
) -> Bool[Array, " cells"]:
    """Return for each cell whether its loss can no longer change: `Program.ended`."""
    arrays, functions = eqx.partition(loss, eqx.is_array)

    def device(arrays, fixed, hyper, state):
        loss = eqx.combine(arrays, functions)
        return ended_cells(program, loss, fixed, hyper, state)

    specs = (SHARED, SHARED, CELLS, CELLS)
    mapped = shard_map(device, mesh=mesh, in_specs=specs, out_specs=CELLS)
    return mapped(arrays, fixed, hyper, state)
