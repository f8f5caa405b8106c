"""The base of all dynamics: what a sweep must know about how a cell moves."""

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, PyTree

from ..envelope import Envelope
from ..factory import Factory, Hyperparameters
from ..probes.base import Probe, Quantity
from ..problems.problem import Problem
from ..program import Program


class Cost(NamedTuple):
    """What a cell costs, as far as it is known before it runs.

    - `gradients`: gradients of a cell's whole run.
    - `numbers`: numbers that a step of a cell works on, per parameter of the problem.
    - `busy_steps`: steps that almost every cell takes.
    - `blocks`: least number of blocks per device that cells should be divided into.
    """

    gradients: float
    numbers: int = 1
    busy_steps: float = math.inf
    blocks: int = 1


@dataclass(frozen=True, eq=False)
class Dynamics(Factory, abc.ABC):
    """How one cell moves: a function of hyper-parameters, and how its result is run.

    Derive from `phasejax.Steps` for dynamics in steps of equal length; that takes two methods.

    - `unit`: what the horizon of a run is measured in, `"step"` or `"time"`.
    - `random`: whether it draws random numbers; `Program.start` then receives a `Noise`.
    """

    unit: ClassVar[Literal["step", "time"]]
    random: ClassVar[bool] = False

    @abc.abstractmethod
    def check_values(self, hyper: Hyperparameters) -> None:
        """Call the factory once with plain values, so that it can refuse them."""

    @abc.abstractmethod
    def check_run(self, problem: Problem, horizon: float, windows: int, dtype: str) -> None:
        """Refuse a run that these dynamics can't do, before anything is computed."""

    @abc.abstractmethod
    def programs(self, hyper: Hyperparameters, params: PyTree, windows: int) -> list[Program]:
        """Return what is compiled: one program, or several that run a cell one after the other.

        `hyper` and `params` are those of one cell, `windows` the windows of the run.
        """

    @abc.abstractmethod
    def portion(
        self, edges: Float[np.ndarray, " edges"], last: int, steps: int | None = None
    ) -> PyTree:
        """Return how far `Program.advance` goes: to the end of window `last` − 1.

        `edges` are the borders of the windows, in steps or in time; `steps` limits the steps of
        the segment.
        """

    @abc.abstractmethod
    def cost(self, horizon: float) -> Cost:
        """Return what a cell costs, from which the block size follows."""

    def draws(self, problem: Problem) -> bool:
        """Say whether a cell draws random numbers: its own, or those of mini-batches."""
        return self.random or problem.batch_loss is not None

    @property
    def config(self) -> dict[str, Any]:
        """Settings besides the hyper-parameters that decide the bits of a result; JSON values."""
        return {}

    def with_probes(
        self, probes: Sequence[Probe], hyper: Hyperparameters, params: PyTree
    ) -> "Dynamics":
        """Return the same dynamics with probes; `hyper` and `params` are those of one cell.

        Only steps can have probes: others raise a `TypeError`.
        """
        del hyper, params
        raise TypeError(
            f"probes = {[probe.name for probe in probes]}: must be left out for {self.name}; a "
            "probe measures the steps of an optimizer, and a flow has none of its own"
        )

    @property
    def measured_variables(self) -> Mapping[str, Quantity]:
        """Further variables of results, one value per window: what probes measure."""
        return {}

    def describe(
        self, measured: Mapping[str, Float[np.ndarray, "cells window"]], edges: np.ndarray
    ) -> dict[str, Float[np.ndarray, " cells"]]:
        """Return variables per cell from what probes measured."""
        del measured, edges
        return {}

    @property
    def window_variables(self) -> tuple[str, ...]:
        """Fields of an `Envelope` that results have."""
        return Envelope._fields

    @property
    def cell_variables(self) -> Mapping[str, Quantity]:
        """Further variables of results, one value per cell: long name and unit by name."""
        return {}
