"""One cell again, in the compiled program that a sweep ran it in.

Rounding depends on the shapes of what is compiled, so the cell runs in a block of the sweep's size,
and the program takes as many window lengths as it did there. Window lengths are an argument of it:
with lengths of 1, the envelope has the loss of every step.
"""

import functools
import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Int, PyTree

from .._check import said
from .._types import AnyArray
from ..envelope import Envelope
from . import kernel
from .placement import Placement
from .running import Running
from .spec import Spec
from .steps import segment_windows

LOOKED_AT = 2
"""Most window lengths that the program takes if it is called for every step: windows without a step
take time too. With one length, the loop over windows would be removed."""
Observe = Callable[[PyTree, PyTree, PyTree], PyTree]
"""A function of a step's parameters, gradient and update."""


class Losses(NamedTuple):
    """Loss before each step, +inf where it is not finite, as its minimum and its maximum saw it.

    The compiler may compute the loss once for each, and in the last cells of a block, which fill no
    vector register, the two may differ by rounding.
    """

    low: Float[np.ndarray, " steps"]
    high: Float[np.ndarray, " steps"]


class OneDevice(Placement):
    """Cells on the first device of this process, however many a sweep had."""

    @cached_property
    def mesh(self) -> Mesh:
        """The first device."""
        return Mesh(np.array(jax.local_devices()[:1]), ("cells",))


class Copies:
    """A block of copies of one cell.

    - `windows`: window lengths that the program takes at once.

    The place of a cell in its block matters if the block is no multiple of a vector register: the
    compiler computes the last cells apart. So all places have the cell, and `place` chooses one.
    """

    def __init__(self, spec: Spec, cell: int, block_size: int, slots: int, devices: int) -> None:
        device = jax.local_devices()[0]
        # A second block where the sweep had some: else the loop over the blocks is another one.
        blocks = min(2, math.ceil(slots / (devices * block_size)))
        shape = (blocks * block_size,)
        kind = device.platform, device.device_kind
        placement = OneDevice(block_size, "given", 1, *kind, tile_shape=shape)
        self.spec, self.block_size = spec, block_size
        self.windows = segment_windows(spec, slots)
        self.running = Running(spec, placement, np.full(shape, cell))
        self._start = self.running.state

    def restart(self) -> None:
        """Put the cell back to its start."""
        self.running.state = self._start

    def envelopes(self, lengths: Int[np.ndarray, " windows"]) -> Iterator[Envelope]:
        """Run windows of given lengths; yields parts of the envelope, `[copies, part]`."""
        for first in range(0, len(lengths), self.windows):
            part = lengths[first : first + self.windows]
            returned = jax.tree.map(np.asarray, self.advance(part, self.windows))
            yield Envelope(*(x[: self.block_size, : len(part)] for x in returned))

    def advance(self, lengths: Int[np.ndarray, " part"], windows: int) -> Envelope:
        """Run at most `windows` windows, by the program that takes as many lengths."""
        return self.running.advance(np.pad(lengths, (0, windows - len(lengths))), 1).envelope


def envelope(copies: Copies) -> Envelope:
    """Run the windows of the sweep; the envelope of every copy, `[copies, windows]`."""
    copies.restart()
    parts = copies.envelopes(np.diff(copies.spec.edges).astype(np.int32))
    return jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts)


def losses(copies: Copies, place: int) -> Losses:
    """Run in windows of one step."""
    copies.restart()
    parts = copies.envelopes(np.ones(int(copies.spec.horizon), np.int32))
    pairs = [(part.loss_min[place], part.loss_max[place]) for part in parts]
    return Losses(*map(np.concatenate, zip(*pairs, strict=True)))


def observed(copies: Copies, place: int, observe: Observe) -> tuple[Losses, PyTree[np.ndarray]]:
    """Run step by step; losses as by `losses`, and what `observe` returns, `[steps, ...]`.

    Raises a `TypeError` if JAX cannot trace `observe`.
    """
    copies.restart()
    running, one_step = copies.running, np.ones(1, np.int32)
    windows = min(copies.windows, LOOKED_AT)
    look = functools.partial(_look, running.program, observe, copies.spec.problem.objective)
    _check(look, running.state)
    values, found = [], []
    for _ in range(int(copies.spec.horizon)):
        before = running.state
        now = copies.advance(one_step, windows)
        values.append([np.asarray(x)[place, 0] for x in (now.loss_min, now.loss_max)])
        found.append(jax.tree.map(np.asarray, look(before, running.state, np.asarray(place))))
    return Losses(*np.array(values).T), jax.tree.map(lambda *x: np.stack(x), *found)


@kernel.jit
def _look(
    program: Any,
    observe: Observe,
    loss: Any,
    before: PyTree,
    after: PyTree,
    place: Int[AnyArray, ""],
) -> PyTree:
    """Observe one step of the cell in a slot, by the states before and after it."""
    before, after = jax.tree.map(lambda x: x[place], (before, after))
    params = program.params_of(before)
    updates = jax.tree.map(jnp.subtract, program.params_of(after), params)
    return observe(params, program.gradient(loss, before), updates)


def _check(look: Callable, state: PyTree) -> None:
    """Refuse a function that JAX cannot trace, or that does not return arrays."""
    try:
        look(state, state, np.asarray(0))
    except Exception as error:
        raise TypeError(
            "observe: must be a function of (params, grads, updates) that JAX can trace, and that "
            f"returns a PyTree of arrays ({said(error, 200)})"
        ) from error
