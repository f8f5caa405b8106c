"""A sweep's arguments, checked, and what follows from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, PyTree

from .._check import ArgumentError, bad, choice, is_number, positive
from ..dynamics import Discrete, Flow
from ..envelope import edges, excess
from ..grid import Cells, Grid, tile_shape
from ..problems.problem import Problem, fingerprint, initial_params, initial_values
from ..results.format import OURS
from .structure import Structure, find_structure
from .tuning import choose

DTYPES = ("float64", "float32")
RESERVED = OURS | {"label"}
"""Names of variables, coordinates and dimensions of the results, which no axis may have."""
GROUPS = 16
"""Most groups of lanes of a tile on a device: enough that retired cells save whole groups."""
FLOW_GROUPS = 8
"""Least groups of lanes of a flow's sweep on a device, unless lanes are given or become so few
that cells get dearer."""
FLOW_GRADIENTS = 5e4
FLOW_BUSY, FLOW_FOOTPRINT = 512, 16
REFINED_SHARE = 0.1
"""Gradients of a cell of a flow, some ten thousand steps, which nobody knows before; how many steps
almost every cell takes; the numbers of a step, in parameters; and the share of its cells that a
refinement computes."""


class Layout(NamedTuple):
    """How cells lie on a process's devices.

    - `lanes`: cells that a device advances at once; `source`: "given", "measured", "guessed".
    - `devices`, `platform`, `kind`: how many devices of what kind there are.
    """

    lanes: int
    source: str
    devices: int
    platform: str
    kind: str

    @property
    def device(self) -> str:
        """Number and kind of the devices."""
        return f"{self.devices} x {self.platform} {self.kind}"


@dataclass(frozen=True)
class Run:
    """A sweep's arguments, checked, and what follows from them.

    - `grid`: all cells of the results. `start`: values that a refined axis starts with, by name.
    - `given_layout`: that of the workers who run it; by default this process's own.
    - `given_digest`: for a worker, what it must compute.
    """

    problem: Problem
    dynamics: Discrete | Flow
    grid: Grid
    extent: int | float
    windows: int
    dtype: str
    given_lanes: int | None
    start: Mapping[str, int] = field(default_factory=dict)
    given_layout: Layout | None = None
    given_digest: str = ""

    def check(self) -> None:
        """Refuse whatever would fail later."""
        if not isinstance(self.problem, Problem):
            raise TypeError(f"problem = {self.problem!r} must be a phasejax.Problem")
        choice("dtype", self.dtype, DTYPES)
        if isinstance(self.dynamics, Flow):
            positive("time", self.extent)
            self.dynamics.check(self.dtype)
            if self.problem.batch_loss is not None:
                raise ArgumentError(
                    "problem",
                    f" = '{self.problem.name}' draws mini-batches, which a flow can't "
                    "follow: leave batch_size, or batch_loss, out",
                )
        elif self.extent < self.windows:
            raise bad("steps", self.extent, f"at least windows = {self.windows}")
        for axis in self.grid.axes:
            if axis in RESERVED:
                allowed = "another name: results have a variable or a dimension of this one"
                raise bad("axis of the grid", axis, allowed)
        self._check_hyperparameters()
        for seed, loss in zip(self.seeds, self.initial_loss, strict=True):
            minimum = self.problem.minimum
            if excess(loss, minimum or 0.0, float(np.finfo(np.float64).eps)) < 0:
                allowed = (
                    "; it must not be negative: give the problem its minimum, "
                    "Problem(..., minimum=...)"
                    if minimum is None
                    else f", below the problem's minimum {minimum:g}"
                )
                raise ValueError(
                    f"loss of problem '{self.problem.name}' is {loss} at the start of seed {seed}"
                    + allowed
                )
        _ = self.structure  # traces every program

    def _check_hyperparameters(self) -> None:
        """Let the dynamics refuse names and values, with plain numbers."""
        axes = {name: axis for name, axis in self.grid.axes.items() if name != "seed"}
        self.dynamics.check_names({*axes, *self._fixed})
        defaults = self.dynamics.defaults()
        for name, value in self._fixed.items():
            numeric = type(defaults.get(name)) in (int, float)
            if isinstance(value, str) and (numeric or is_number(value)):
                raise bad(name, value, "a number, not a string")
        for corner in self.grid.corners():
            given = {**self._fixed, **corner}
            self.dynamics.check_values({k: self.dynamics.native(k, v) for k, v in given.items()})

    def check_devices(self) -> None:
        """Refuse what the devices can't do."""
        if self.dtype == "float64" and self.layout.platform == "tpu":
            raise bad("dtype", self.dtype, "'float32' on a TPU, which has no float64")

    def check_worker(self) -> None:
        """Refuse to run what differs from the rest of the sweep: on other devices, other code."""
        device = self.mesh.devices.flat[0]
        here = self.mesh.size, device.platform, device.device_kind
        if here != self.layout[2:]:
            raise RuntimeError(
                f"this worker has {here[0]} x {here[1]} {here[2]}, and the sweep was laid out for "
                f"{self.layout.device}: give all workers the same devices"
            )
        if self.given_digest and self.given_digest != self.digest:
            raise RuntimeError(
                "this worker computes something else than the process that asks it to: a module "
                "that the loss or the optimizer uses has other numbers, or another version, there"
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
    def digest(self) -> str:
        """Of what the problem and all programs compute, and of their data."""
        traces = [p.trace for found in self.structure.programs.values() for p in found]
        return " ".join([fingerprint(self.problem, list(self.starts.values())), *traces])

    def programs(self, cells: Cells) -> list[Any]:
        """What is compiled for cells of one structure, in the order in which it runs."""
        places = self.grid.places(cells[:1])
        return self.structure.programs_of({name: place[0] for name, place in places.items()})

    def alike(self, cells: Cells) -> list[Cells]:
        """Part cells by the program that runs them; each part keeps their order."""
        if not self.structure.axes:
            return [cells]
        places = self.grid.places(cells)
        keys = np.stack([places[name] for name in self.structure.axes])
        _, which = np.unique(keys, axis=1, return_inverse=True)
        return [cells[which.ravel() == part] for part in range(which.max(initial=-1) + 1)]

    def portion(self, steps: int) -> Any:
        """Numbers of a call that takes so many steps (tries, on a flow), for the programs."""
        return self.dynamics.portion(self.edges.astype(self.dtype), self.windows, steps)

    @property
    def work(self) -> float:
        """Gradients × cells × parameters; a guess of what a flow, or a refinement, will take."""
        gradients = FLOW_GRADIENTS if isinstance(self.dynamics, Flow) else self.extent
        return self.grid.size * gradients * self.size * (REFINED_SHARE if self.start else 1)

    @property
    def most_alike(self) -> float:
        """Steps for which all cells are busy: those of a flow end one by one."""
        return FLOW_BUSY if isinstance(self.dynamics, Flow) else math.inf

    @property
    def edges(self) -> np.ndarray:
        """Borders of the windows, in steps or in time."""
        return edges(self.extent, self.windows)

    @cached_property
    def seeds(self) -> list[int]:
        """Every seed of the sweep."""
        axis = self.grid.axes.get("seed")
        return [self.grid.fixed["seed"]] if axis is None else list(axis.values)

    @cached_property
    def starts(self) -> dict[int, PyTree[np.ndarray]]:
        """Starting point of each seed, in float64."""
        return {seed: initial_params(self.problem, seed) for seed in self.seeds}

    @property
    def sorted_seeds(self) -> list[int]:
        """Every seed once, in ascending order."""
        return sorted(self.starts)

    @cached_property
    def _initial(self) -> list[tuple[float, PyTree]]:
        """Loss and gradient at the starting point of each seed."""
        return [initial_values(self.problem, self.starts[seed]) for seed in self.seeds]

    @property
    def initial_loss(self) -> Float[np.ndarray, " seeds"]:
        """Loss at the starting point of each seed."""
        return np.array([loss for loss, _ in self._initial])

    @property
    def initial_gradient_norm(self) -> Float[np.ndarray, " seeds"]:
        """2-norm of the gradient at the starting point of each seed."""
        return np.array([norm(grads) for _, grads in self._initial])

    @cached_property
    def mesh(self) -> Mesh:
        """All local devices, in a row."""
        return Mesh(np.array(jax.local_devices()), ("cells",))

    @property
    def cells_alike(self) -> int:
        """Cells that one program runs: those of a structure."""
        return self.grid.size // len(self.structure.programs)

    @cached_property
    def size(self) -> int:
        """Parameters of the problem."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.starts[self.seeds[0]]))

    @property
    def footprint(self) -> int:
        """Numbers that a cell keeps at hand, in parameters: a flow's step has several stages."""
        return self.size * (FLOW_FOOTPRINT if isinstance(self.dynamics, Flow) else 1)

    @cached_property
    def layout(self) -> Layout:
        """How cells lie on the devices that run them."""
        return self.given_layout or self.layout_here()

    def layout_here(self) -> Layout:
        """How cells would lie on this process's devices."""
        device = self.mesh.devices.flat[0]
        lanes, source = (self.given_lanes, "given") if self.given_lanes else choose(self)
        # Cells of a flow end one by one: small groups are full for longer.
        cells = math.ceil(self.cells_alike / self.mesh.size)
        if isinstance(self.dynamics, Flow) and source != "given":
            lanes = min(lanes, max(math.ceil(cells / FLOW_GROUPS), lanes // FLOW_GROUPS))
        kind = device.platform, device.device_kind
        return Layout(min(lanes, cells), source, self.mesh.size, *kind)

    @property
    def lanes(self) -> int:
        """Cells that a device advances at once."""
        return self.layout.lanes

    @cached_property
    def tile_shape(self) -> tuple[int, ...]:
        """Cells of a tile along each axis; all of a tile's cells are run by one program."""
        compiled_in = self.structure.axes
        shape = [1 if name in compiled_in else len(axis) for name, axis in self.grid.axes.items()]
        return tile_shape(tuple(shape), self.layout.devices * self.lanes * GROUPS)

    @cached_property
    def batch(self) -> int:
        """Places for cells of a tile on all devices, whole groups of `block_size` on each."""
        per_round = self.layout.devices * self.lanes
        return per_round * math.ceil(math.prod(self.tile_shape) / per_round)


def norm(tree: PyTree) -> float:
    """2-norm of all numbers of a PyTree, without overflow on the way."""
    leaves = [np.abs(np.asarray(leaf, np.float64)).ravel() for leaf in jax.tree.leaves(tree)]
    sizes = np.concatenate(leaves)
    largest = sizes.max()
    if largest == 0 or not np.isfinite(largest):
        return float(largest)
    return float(largest * np.sqrt(np.sum((sizes / largest) ** 2)))
