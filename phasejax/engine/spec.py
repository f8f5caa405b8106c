"""The specification of a sweep: its arguments, checked, and what follows from them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, PyTree

from .._check import ArgumentError, bad, choice, is_number
from ..dynamics import Dynamics
from ..dynamics.names import namesakes
from ..envelope import edges, excess
from ..grid import Cells, Grid
from ..identity import identify
from ..probes.base import Probe
from ..problems.problem import (
    Problem,
    Traced,
    checked_trace,
    fingerprint,
    initial_params,
    initial_values,
)
from ..program import Program
from ..results.format import OWN_NAMES
from .structure import Structure, find_structure

DTYPES = ("float64", "float32")
"""Precisions that a sweep can compute in."""
RESERVED = OWN_NAMES | {"label"}
"""Names of variables, coordinates and dimensions of the results, which no axis may have."""


@dataclass(frozen=True, eq=False)
class Spec:
    """What a sweep computes, independent of the devices.

    - `grid`: all cells of the results.
    - `horizon`: steps (an integer) or time (a float) of every run, by the unit of `dynamics`.
    - `refined_from`: number of values that a refined axis starts with, by name.

    Only these arguments are pickled; another process derives the rest again. Two specifications
    are equal if they compute the same.
    """

    problem: Problem
    dynamics: Dynamics
    grid: Grid
    horizon: int | float
    windows: int
    dtype: str
    refined_from: Mapping[str, int] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> str:
        axes = {name: [identify(v) for v in axis.values] for name, axis in self.grid.axes.items()}
        fixed = {name: identify(value) for name, value in self.grid.fixed.items()}
        settings = self.dynamics.name, self.dynamics.config, dict(self.refined_from)
        run = self.horizon, self.windows, self.dtype
        return json.dumps([self.digest, axes, fixed, settings, run], sort_keys=True)

    def with_probes(self, probes: Sequence[Probe]) -> "Spec":
        """Return the same specification with probes; checks the names of their variables."""
        self._check_hyperparameters()
        axes = {name: axis.values for name, axis in self.grid.axes.items() if name != "seed"}
        middle = {name: values[len(values) // 2] for name, values in axes.items()}
        given = {k: self.dynamics.native(k, v) for k, v in {**self._fixed, **middle}.items()}
        start = self.starts[self.seeds[0]]
        probed = replace(self, dynamics=self.dynamics.with_probes(probes, given, start))
        taken = RESERVED | self.grid.axes.keys() | self.dynamics.measured_variables.keys()
        for probe in getattr(probed.dynamics, "probes", ()):
            names = {*probe.variables, *probe.cell_variables}
            if names & taken:
                said = f"the name of its variable {min(names & taken)!r} is taken"
                raise ArgumentError("probes", f" = {probe.name}: {said}")
            taken |= names
        return probed

    def check(self) -> None:
        """Refuse arguments that would fail later. Traces every program."""
        if not isinstance(self.problem, Problem):
            raise TypeError(f"problem = {self.problem!r} must be a phasejax.Problem")
        choice("dtype", self.dtype, DTYPES)
        self.dynamics.check_run(self.problem, self.horizon, self.windows, self.dtype)
        for axis in self.grid.axes:
            if axis in RESERVED:
                allowed = "another name: results have a variable or a dimension of this one"
                raise bad("axis of the grid", axis, allowed)
        self._check_hyperparameters()
        self._check_initial_losses()
        _ = self.structure

    def _check_hyperparameters(self) -> None:
        """Let the dynamics check all names, and the values at the corners of the grid."""
        axes = {name: axis for name, axis in self.grid.axes.items() if name != "seed"}
        self.dynamics.check_names({*axes, *self._fixed}, namesakes(self.dynamics.factory))
        defaults = self.dynamics.defaults()
        for name, value in self._fixed.items():
            numeric = type(defaults.get(name)) in (int, float)
            if isinstance(value, str) and (numeric or is_number(value)):
                raise bad(name, value, "a number, not a string")
        for corner in self.grid.corners():
            given = {**self._fixed, **corner}
            self.dynamics.check_values({k: self.dynamics.native(k, v) for k, v in given.items()})

    def _check_initial_losses(self) -> None:
        """Refuse a loss that starts below the problem's minimum."""
        minimum = self.problem.minimum
        for seed, loss in zip(self.seeds, self.initial_loss, strict=True):
            if minimum is not None and excess(loss, minimum, float(np.finfo(np.float64).eps)) < 0:
                raise ValueError(
                    f"loss of problem '{self.problem.name}' is {loss} at the start of seed {seed}, "
                    f"below the problem's minimum {minimum:g}"
                )

    @property
    def _fixed(self) -> dict[str, Any]:
        return {name: value for name, value in self.grid.fixed.items() if name != "seed"}

    @cached_property
    def structure(self) -> Structure:
        """Which hyper-parameters are numbers, and what is compiled for the others."""
        axes = {name: axis.values for name, axis in self.grid.axes.items() if name != "seed"}
        first = next(iter(self.starts.values()))
        arguments = self._fixed, axes, first, self.edges, self.dtype
        return find_structure(self.problem, self.dynamics, *arguments)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what the problem computes, of its data and of its starting points."""
        return fingerprint(self._traced, list(self.starts.values()))

    @property
    def digest(self) -> str:
        """Digest of what the problem and all programs compute, and of their data."""
        return " ".join([self.fingerprint, *self.structure.traces])

    def programs(self, cells: Cells) -> list[Program]:
        """Programs of cells of one structure, in the order in which they run."""
        places = self.grid.places(cells[:1])
        return self.structure.programs_of({name: place[0] for name, place in places.items()})

    def alike(self, cells: Cells) -> list[Cells]:
        """Group cells by the program that runs them; each group keeps their order."""
        if not self.structure.axes:
            return [cells]
        places = self.grid.places(cells)
        keys = np.stack([places[name] for name in self.structure.axes])
        _, which = np.unique(keys, axis=1, return_inverse=True)
        return [cells[which.ravel() == part] for part in range(which.max(initial=-1) + 1)]

    @property
    def edges(self) -> np.ndarray:
        """Borders of the windows, in steps or in time."""
        return edges(self.horizon, self.windows)

    @cached_property
    def seeds(self) -> list[int]:
        """Every seed of the sweep, in the order of its axis."""
        axis = self.grid.axes.get("seed")
        return [self.grid.fixed["seed"]] if axis is None else list(axis.values)

    def seed_places(self, cells: Cells) -> Int[np.ndarray, " cells"]:
        """Index into `seeds` of every cell's seed."""
        return self.grid.places(cells).get("seed", np.zeros(len(cells), int))

    @cached_property
    def starts(self) -> dict[int, PyTree[np.ndarray]]:
        """Starting point of each seed, in float64."""
        return {seed: initial_params(self.problem, seed) for seed in self.seeds}

    @cached_property
    def _initial(self) -> list[tuple[float, PyTree]]:
        """Loss and gradient at the starting point of each seed."""
        trace = self._traced.digest
        return [initial_values(self.problem, trace, self.starts[seed]) for seed in self.seeds]

    @cached_property
    def _traced(self) -> Traced:
        """What the problem computes."""
        return checked_trace(self.problem, self.starts[self.seeds[0]])

    @property
    def initial_loss(self) -> Float[np.ndarray, " seeds"]:
        """Loss at the starting point of each seed."""
        return np.array([loss for loss, _ in self._initial])

    @property
    def initial_gradient_norm(self) -> Float[np.ndarray, " seeds"]:
        """2-norm of the gradient at the starting point of each seed."""
        return np.array([norm(grads) for _, grads in self._initial])

    @property
    def cells_per_program(self) -> int:
        """Number of cells that run the same program."""
        return self.grid.size // len(self.structure.programs)

    @property
    def size(self) -> int:
        """Parameters of the problem."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.starts[self.seeds[0]]))


def norm(tree: PyTree) -> float:
    """2-norm of all numbers of a PyTree, without intermediate overflow."""
    leaves = [np.abs(np.asarray(leaf, np.float64)).ravel() for leaf in jax.tree.leaves(tree)]
    sizes = np.concatenate(leaves)
    largest = sizes.max()
    if largest == 0 or not np.isfinite(largest):
        return float(largest)
    return float(largest * np.sqrt(np.sum((sizes / largest) ** 2)))
