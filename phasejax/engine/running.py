"""The cells of one task while they run: which slot holds which cell, and their arrays."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Int, PyTree

from ..grid import Cells
from ..problems.problem import start_noise
from . import kernel
from .checkpoint import Checkpoint
from .keys import unwrapped, wrapped
from .placement import Placement, Slots
from .spec import Spec


class Running:
    """Cells of one task, all run by the same programs.

    - `programs`: run the cells one after the other; `program` is the current one.
    - `cell_of`: for each slot the cell in it, an index into `cells`, or −1.
    - `hyper`, `state`: hyper-parameters and state of the cell in each slot, `[slots, ...]`.
    """

    def __init__(self, spec: Spec, placement: Placement, cells: Cells) -> None:
        self.spec, self.placement = spec, placement
        self.programs = spec.programs(cells)
        self.program = self.programs[0]
        self.cell_of: Slots = placement.distribute(np.arange(len(cells)))
        in_slots = cells[np.maximum(self.cell_of, 0)]
        self._fixed, self.hyper, self.state = self._start(in_slots)

    def _start(self, cells: Cells) -> tuple[PyTree, PyTree, PyTree]:
        """Return fixed hyper-parameters, and those and the state of the cell in each slot."""
        spec, dtype = self.spec, self.spec.dtype
        values = spec.grid.cells(cells)
        compiled_in = {"seed", *spec.structure.axes}
        hyper = {n: v.astype(dtype) for n, v in values.items() if n not in compiled_in}
        drawn = spec.seed_places(cells)
        starts = [spec.starts[seed] for seed in spec.seeds]
        params = jax.tree.map(lambda *leaves: np.stack(leaves).astype(dtype)[drawn], *starts)
        noise = ()
        if spec.dynamics.draws(spec.problem):
            noises = map(start_noise, spec.seeds)
            noise = jax.tree.map(lambda *leaves: np.stack(leaves)[drawn], *noises)
        numbers = {name: np.asarray(v, dtype) for name, v in spec.structure.numbers.items()}
        fixed = self.placement.put_shared(numbers)
        hyper, params, noise = self.placement.put((hyper, params, noise))
        mesh = self.placement.mesh
        return fixed, hyper, kernel.start(mesh, self.program, fixed, hyper, params, noise)

    def advance(self, portion: PyTree, blocks: int) -> PyTree:
        """Run the first `blocks` blocks of every device; returns the program's second result."""
        launch = kernel.Launch(
            self.placement.mesh,
            self.program,
            self.spec.problem.objective,
            self.placement.block_size,
        )
        numbers = self._fixed, self.hyper, self.state
        self.state, returned = kernel.advance(
            launch, *numbers, portion, np.asarray(blocks, np.int32)
        )
        return returned

    def ended(self) -> Bool[np.ndarray, " slots"]:
        """Return for each slot whether the loss of its cell can no longer change."""
        objective = self.spec.problem.objective
        mesh, numbers = self.placement.mesh, (self._fixed, self.hyper, self.state)
        return np.asarray(kernel.ended(mesh, self.program, objective, *numbers))

    def use(self, number: int, new: bool) -> Any:
        """Switch to program `number`, which is `new` if it has not run these cells yet."""
        self.program = self.programs[number]
        if new:
            self.state = self.program.take_over(self.state)
        return self.program

    def compact(self, kept: Int[np.ndarray, " cells"]) -> None:
        """Move the cells in the slots `kept` to the first slots of all devices, others behind."""
        order = self.placement.compact(kept)
        self.cell_of = self.cell_of[order]
        in_slots = self.hyper, unwrapped(self.state)
        self._put(*jax.tree.map(lambda x: np.asarray(x)[order], in_slots))

    def _put(self, hyper: PyTree, state: PyTree) -> None:
        """Move hyper-parameters and states `[slots, ...]` to the devices."""
        hyper, state = self.placement.put((hyper, state))
        self.hyper, self.state = hyper, wrapped(state, self.state)

    def save(self, checkpoint: Checkpoint, results: PyTree) -> None:
        """Write a checkpoint of the cells and of the results so far, if one is due."""
        checkpoint.save((results, self.cell_of, self.hyper, unwrapped(self.state)))

    def restore(self, checkpoint: Checkpoint, results: PyTree) -> Any | None:
        """Continue from a checkpoint; returns the results so far, or `None` if there is none."""
        kept = checkpoint.load((results, self.cell_of, self.hyper, unwrapped(self.state)))
        if kept is None:
            return None
        results, self.cell_of, hyper, state = kept
        self._put(hyper, state)
        return results
