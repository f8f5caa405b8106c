"""The host loop of flows: one task's cells, whose steps adapt, run until each has ended.

A call attempts a number of steps of every cell. Cells that have ended then free their slots, and
the others are sorted by the steps that they still need: a block holds cells of similar stiffness,
and devices run fewer blocks. Cells that have turned stiff wait for the implicit method, which runs
after the explicit one.
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

CALL_WORK = 2e8
"""Steps × cells × parameters of a call: short enough for a progress bar and for interrupts."""
FEWEST_STEPS = 32
"""Fewest steps that a call attempts."""
MOST_STEPS = 2048
"""Most steps that a call attempts, so that blocks whose cells have ended do not idle for long."""
GRADIENTS = 6
"""Gradients of a step."""


def run_adaptive(
    spec: Spec,
    placement: Placement,
    cells: Cells,
    progress: Callable[[float], object] = lambda time: None,
    folder: Path | None = None,
) -> tuple[Envelope, Solved]:
    """Run the cells of a flow's task; NumPy arrays `[cells, window]` and `[cells]`.

    Windows that an unresolved cell did not reach are nan. `folder` is where a checkpoint is kept
    and looked for.
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
        self.whole = Envelope(*(np.full((count, spec.windows), np.nan) for _ in LOSSES))
        self.solved = Solved(*(np.full(count, np.nan) for _ in Solved._fields))
        self.running = Running(spec, placement, cells)
        self.edges = spec.edges.astype(spec.dtype)
        self.method = -1
        fresh = np.array(self.method), self.whole, self.solved
        if (kept := self.running.restore(self.checkpoint, fresh)) is not None:
            self.method, self.whole, self.solved = int(kept[0]), *kept[1:]
            self.progress(self._time()[self.running.cell_of >= 0].sum())

    @property
    def state(self) -> FlowState:
        """State of the cell in each slot."""
        return self.running.state

    def _time(self) -> np.ndarray:
        return np.asarray(self.state.walk.time)

    def run(self) -> tuple[Envelope, Solved]:
        """Follow the cells by one method after the other."""
        for number in range(max(self.method, 0), len(self.running.programs)):
            self._switch_to(number)
            self._follow()
        self._write(np.ones(len(self.running.cell_of), bool))
        missing = self.spec.horizon * len(self.solved.end_time) - self.solved.end_time.sum()
        self.progress(float(missing))
        return self.whole, self.solved

    def _switch_to(self, number: int) -> None:
        """Let a method run the cells that the one before it left; after a restore, continue it."""
        running = self.running
        program = running.use(number, new=number > self.method)
        if number > self.method and program.method in IMPLICIT:
            begin = self._going()
            self.solved.implicit_from[running.cell_of[begin]] = self._time()[begin]
        self.method = number

    def _follow(self) -> None:
        """Run cells as far as the present method can."""
        self._call(self._compacted())
        # The first call gave the lengths of the steps, by which cells are sorted.
        blocks = self._compacted()
        while blocks:
            self._call(blocks)
            if self._blocks_needed() != blocks:
                blocks = self._compacted()

    def _blocks_needed(self) -> int:
        """Blocks per device for the cells that continue."""
        return self.placement.blocks_for(self._going().sum())

    def _compacted(self) -> int:
        """Write the results of cells that have ended, and sort the others; returns their blocks."""
        going = self._going()
        self._write(~going)
        self.running.compact(self._longest_first(going))
        return self.placement.blocks_for(going.sum())

    def _call(self, blocks: int) -> None:
        """Attempt steps of the cells in the first blocks of every device."""
        if not blocks:
            return
        running, before = self.running, self._time()
        running.advance(self._portion(self._attempts(blocks)), blocks)
        self.progress(float((self._time() - before)[running.cell_of >= 0].sum()))
        running.save(self.checkpoint, (np.array(self.method), self.whole, self.solved))

    def _portion(self, steps: int) -> Any:
        return self.spec.dynamics.portion(self.edges, self.spec.windows, steps)

    def _attempts(self, blocks: int) -> int:
        """Steps that a call attempts, so that it takes some seconds at most."""
        cells = blocks * self.placement.block_size * self.placement.devices
        steps = CALL_WORK / (cells * self.spec.size * GRADIENTS)
        return int(np.clip(steps, FEWEST_STEPS, MOST_STEPS))

    def _going(self) -> Bool[np.ndarray, " slots"]:
        """Say of each slot whether it holds a cell that still has steps to take."""
        walk = self.state.walk
        halted, steps, window = map(np.asarray, (walk.halted, walk.steps, walk.window))
        going = np.asarray(live(halted, steps, window, self._portion(0)))
        return (self.running.cell_of >= 0) & going

    def _longest_first(self, going: Bool[np.ndarray, " slots"]) -> Int[np.ndarray, " cells"]:
        """Slots of the cells that continue, by the steps that they still need; devices in turn."""
        slots = np.flatnonzero(going)
        time, step = self._time()[slots], np.asarray(self.state.walk.step)[slots]
        with np.errstate(divide="ignore"):
            left = (self.spec.horizon - time) / step  # before the first step: all alike
        slots = slots[np.argsort(-left, kind="stable")]
        devices = self.placement.devices
        return np.concatenate([slots[device::devices] for device in range(devices)])

    def _write(self, at: Bool[np.ndarray, " slots"]) -> None:
        """Copy the results of the cells in some slots."""
        at = at & (self.running.cell_of >= 0)
        cells, walk = self.running.cell_of[at], self.state.walk
        for name in LOSSES:
            getattr(self.whole, name)[cells] = np.asarray(getattr(self.state.envelope, name))[at]
        self.solved.solver_steps[cells] = np.asarray(walk.steps)[at]
        self.solved.end_time[cells] = np.asarray(walk.time)[at]
        self.solved.loss_floor[cells] = np.asarray(walk.floor)[at]
