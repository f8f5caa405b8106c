"""Where cells sit: devices, their blocks, and the slots in these."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Int, PyTree

from ..grid import tile_shape
from . import kernel
from .spec import Spec

BLOCKS = 16
"""Blocks per device of a task: enough that ended cells free whole blocks."""
REGISTER = 16
"""Cells in a vector register, at most."""
TILE_WORK = 1e9
"""A task whose gradients × cells × parameters are fewer has more blocks, if the block size was not
given: half a second."""
TILE_NUMBERS = 2**19
"""Most cells × windows of a task with more blocks: its results take 20 MB."""

Slots = Int[np.ndarray, " slots"]
"""For each slot the cell that sits there, or −1."""


@dataclass(frozen=True)
class Placement:
    """How the cells of a task sit on the devices of a process.

    - `block_size`: cells that a device advances at once.
    - `source`: where the block size is from: "given", "measured" or "guessed".
    - `devices`, `platform`, `kind`: how many devices of what kind there are.
    - `tile_shape`: cells of a tile along each axis.
    """

    block_size: int
    source: str
    devices: int
    platform: str
    kind: str
    tile_shape: tuple[int, ...]

    @classmethod
    def here(cls, spec: Spec, block_size: int, source: str) -> "Placement":
        """Place the cells of a sweep on this process's devices."""
        mesh = local_mesh()
        device = mesh.devices.flat[0]
        cells = math.ceil(spec.cells_per_program / mesh.size)
        least = spec.dynamics.cost(spec.horizon).blocks
        if source != "given":
            block_size = min(block_size, max(math.ceil(cells / least), block_size // least))
            block_size = _even(block_size, cells)
        block_size = min(block_size, cells)
        compiled_in = spec.structure.axes
        shape = [1 if name in compiled_in else len(axis) for name, axis in spec.grid.axes.items()]
        blocks = BLOCKS if source == "given" else _blocks(spec, mesh, block_size)
        tile = tile_shape(tuple(shape), mesh.size * block_size * blocks)
        return cls(block_size, source, mesh.size, device.platform, device.device_kind, tile)

    @property
    def device(self) -> str:
        """Number and kind of the devices."""
        return f"{self.devices} x {self.platform} {self.kind}"

    @property
    def slots(self) -> int:
        """Slots of a task on all devices, whole blocks on each."""
        per_round = self.devices * self.block_size
        return per_round * math.ceil(math.prod(self.tile_shape) / per_round)

    @cached_property
    def mesh(self) -> Mesh:
        """This process's devices. Raises a `RuntimeError` if the placement is for other ones."""
        mesh = local_mesh()
        device = mesh.devices.flat[0]
        here = mesh.size, device.platform, device.device_kind
        if here != (self.devices, self.platform, self.kind):
            raise RuntimeError(
                f"this worker has {here[0]} x {here[1]} {here[2]}, and the sweep was placed on "
                f"{self.device}: give all workers the same devices"
            )
        return mesh

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "mesh"}

    def distribute(self, cells: Int[np.ndarray, " cells"]) -> Slots:
        """Give each device its share of the cells; −1 marks a free slot."""
        slots = np.full((self.devices, self.slots // self.devices), -1)
        for row, share in zip(slots, np.array_split(cells, self.devices), strict=True):
            row[: len(share)] = share
        return slots.ravel()

    def compact(self, kept: Int[np.ndarray, " cells"]) -> Slots:
        """Return for each slot the old slot of its cell, if the cells in `kept` come first."""
        order = self.distribute(kept)
        others = np.ones(self.slots, bool)
        others[kept] = False
        order[order < 0] = np.flatnonzero(others)
        return order

    def blocks_for(self, cells: int | np.integer) -> int:
        """Blocks per device for this many cells on all devices."""
        return math.ceil(math.ceil(cells / self.devices) / self.block_size)

    def put(self, arrays: PyTree) -> PyTree:
        """Move arrays `[slots, ...]` to the devices."""
        return jax.device_put(arrays, NamedSharding(self.mesh, kernel.CELLS))

    def put_shared(self, arrays: PyTree) -> PyTree:
        """Copy arrays to every device."""
        return jax.device_put(arrays, NamedSharding(self.mesh, kernel.SHARED))


def local_mesh() -> Mesh:
    """All devices of this process, in a row."""
    return Mesh(np.array(jax.local_devices()), ("cells",))


def _even(block_size: int, cells: int) -> int:
    """Divide cells into as many blocks of one size: whole vector registers, and few free slots."""
    share = cells / math.ceil(cells / block_size)
    return min(REGISTER * math.ceil(share / REGISTER), block_size)


def _blocks(spec: Spec, mesh: Mesh, block_size: int) -> int:
    """Blocks per device of a task: more than `BLOCKS` if storing it would take longer than it does.

    A power of two times `BLOCKS`.
    """
    work = spec.dynamics.cost(spec.horizon).gradients * spec.size
    cells = min(TILE_WORK / work, TILE_NUMBERS / spec.windows)
    times = cells / (mesh.size * block_size * BLOCKS)
    return BLOCKS * 2 ** max(math.floor(math.log2(times)), 0)
