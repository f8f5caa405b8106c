"""The host loop of flows: one task's cells, whose steps adapt, run until each has ended.

A segment attempts a number of steps of every cell. Cells that have ended then free their slots,
and the others are sorted by the steps that they still need: a block holds cells of similar
stiffness, and devices run fewer blocks. Cells that have turned stiff wait for the implicit method,
which runs after the explicit one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from ..envelope import LOSSES, Envelope, Solved
from ..grid import Cells
from ..ode.state import FlowState, live
from ..ode.steppers import IMPLICIT
from .checkpoint import Checkpoint
from .placement import Placement
from .running import Running
from .spec import Spec

SEGMENT_WORK = 2e8
"""Target gradients × cells × parameters of a segment: short enough for a progress bar and for
interrupts."""
FEWEST_STEPS = 32
"""Fewest steps that a segment attempts."""
MOST_STEPS = 2048
"""Most steps that a segment attempts, so that slots of ended cells are soon freed."""
GRADIENTS = 6
"""Gradients per step."""


def run_adaptive(
    spec: Spec,
    placement: Placement,
    cells: Cells,
    progress: Callable[[float], object] = lambda time: None,
    folder: Path | None = None,
) -> tuple[Envelope, Solved]:
    """Run the cells of a flow's task; NumPy arrays `[cells, window]` and `[cells]`.

    Windows that an unresolved cell did not reach are nan. `progress` receives the time that each
    segment advanced, summed over cells. `folder` holds the checkpoint.
    """
    return _Task(spec, placement, cells, progress, folder).run()


class _Task:
    """One task: its cells while they run, and their results so far."""

    def __init__(
        self,
        spec: Spec,
        placement: Placement,
        cells: Cells,
        progress: Callable[[float], object],
        folder: Path | None,
    ) -> None:
        count = len(cells)
        self.spec, self.placement, self.progress = spec, placement, progress
        self.checkpoint = Checkpoint(folder, cells)
        self.envelope = Envelope(*(np.full((count, spec.windows), np.nan) for _ in LOSSES))
        self.solved = Solved(*(np.full(count, np.nan) for _ in Solved._fields))
        self.running = Running(spec, placement, cells)
        self.edges = spec.edges.astype(spec.dtype)
        self.method = -1
        results = np.array(self.method), self.envelope, self.solved
        if (kept := self.running.restore(self.checkpoint, results)) is not None:
            self.method, self.envelope, self.solved = int(kept[0]), *kept[1:]
            self.progress(self._time()[self.running.cell_of >= 0].sum())

    @property
    def state(self) -> FlowState:
        """State of the cell in each slot."""
        return self.running.state

    def _time(self) -> np.ndarray:
        return np.asarray(self.state.walk.time)

    def run(self) -> tuple[Envelope, Solved]:
        """Run the cells by one method after the other."""
        for number in range(max(self.method, 0), len(self.running.programs)):
            self._switch_to(number)
            self._run_method()
        self._write(np.ones(len(self.running.cell_of), bool))
        missing = self.spec.horizon * len(self.solved.end_time) - self.solved.end_time.sum()
        self.progress(float(missing))
        return self.envelope, self.solved

    def _switch_to(self, number: int) -> None:
        """Run the remaining cells by method `number`, which a restored task may have begun."""
        running = self.running
        program = running.use(number, new=number > self.method)
        if number > self.method and program.method in IMPLICIT:
            begin = self._going()
            self.solved.implicit_from[running.cell_of[begin]] = self._time()[begin]
        self.method = number

    def _run_method(self) -> None:
        """Advance cells until the current method has none left to run."""
        self._run_segment(self._compact())
        # The first segment finds the lengths of the steps, by which cells are sorted.
        blocks = self._compact()
        while blocks:
            self._run_segment(blocks)
            if self._blocks_needed() != blocks:
                blocks = self._compact()

    def _blocks_needed(self) -> int:
        """Blocks per device for the cells that continue."""
        return self.placement.blocks_for(self._going().sum())

    def _compact(self) -> int:
        """Write the results of ended cells, and sort the others; returns the blocks they need."""
        going = self._going()
        self._write(~going)
        self.running.compact(self._longest_first(going))
        return self.placement.blocks_for(going.sum())

    def _run_segment(self, blocks: int) -> None:
        """Attempt steps of the cells in the first `blocks` blocks of every device."""
        if not blocks:
            return
        running, before = self.running, self._time()
        running.advance(self._portion(self._attempts(blocks)), blocks)
        self.progress(float((self._time() - before)[running.cell_of >= 0].sum()))
        running.save(self.checkpoint, (np.array(self.method), self.envelope, self.solved))

    def _portion(self, steps: int) -> Any:
        return self.spec.dynamics.portion(self.edges, self.spec.windows, steps)

    def _attempts(self, blocks: int) -> int:
        """Steps that a segment attempts, so that it takes a few seconds at most."""
        cells = blocks * self.placement.block_size * self.placement.devices
        steps = SEGMENT_WORK / (cells * self.spec.size * GRADIENTS)
        return int(np.clip(steps, FEWEST_STEPS, MOST_STEPS))

    def _going(self) -> Bool[np.ndarray, " slots"]:
        """Return for each slot whether it holds a cell that still has steps to take."""
        walk = self.state.walk
        halted, steps, window = map(np.asarray, (walk.halted, walk.steps, walk.window))
        going = np.asarray(live(halted, steps, window, self._portion(0)))
        return (self.running.cell_of >= 0) & going

    def _longest_first(self, going: Bool[np.ndarray, " slots"]) -> Int[np.ndarray, " cells"]:
        """Slots of the cells that continue, most remaining steps first, spread over devices."""
        slots = np.flatnonzero(going)
        time, step = self._time()[slots], np.asarray(self.state.walk.step)[slots]
        with np.errstate(divide="ignore"):
            left = (self.spec.horizon - time) / step  # steps are 0 before the first: all equal
        slots = slots[np.argsort(-left, kind="stable")]
        devices = self.placement.devices
        return np.concatenate([slots[device::devices] for device in range(devices)])

    def _write(self, at: Bool[np.ndarray, " slots"]) -> None:
        """Copy the results of the cells in the slots `at`."""
        at = at & (self.running.cell_of >= 0)
        cells, walk = self.running.cell_of[at], self.state.walk
        for name in LOSSES:
            getattr(self.envelope, name)[cells] = np.asarray(getattr(self.state.envelope, name))[at]
        self.solved.solver_steps[cells] = np.asarray(walk.steps)[at]
        self.solved.end_time[cells] = np.asarray(walk.time)[at]
        self.solved.loss_floor[cells] = np.asarray(walk.floor)[at]
