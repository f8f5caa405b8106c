"""The main job: run every cell of a grid, tile by tile, and store envelopes and regimes."""

import datetime
import importlib.metadata
import math
import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh
from jaxtyping import Float, PyTree
from tqdm.auto import tqdm

from ._check import bad, choice, whole
from .dynamics import Discrete
from .envelope import edges
from .grid import Grid, Tile, cells_in, tile_shape
from .lanes import choose
from .problems.problem import Problem, checked_initial_loss, fingerprint, initial_params
from .regimes import classify_envelope
from .store import Store
from .tile import envelope_of_tile

DTYPES = ("float64", "float32")
GROUPS = 16
"""Most groups of lanes of a tile on a device: enough that retired cells save whole groups."""


def sweep(
    problem: Problem,
    dynamics: Callable | Discrete,
    grid: Grid,
    *,
    steps: int = 20_000,
    windows: int = 256,
    dtype: str = "float64",
    store: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    lanes: int | None = None,
) -> xr.Dataset:
    """Run every cell of a grid and say in which regime it is.

    **Arguments:**

    - `problem`: what to minimize; one of `phasejax.problems` or your own `phasejax.Problem`.
    - `dynamics`: a function of hyper-parameters that returns an `optax.GradientTransformation`:
        `phasejax.adam`, `phasejax.rmsprop`, `optax.adamw`, your own.
    - `grid`: axes and fixed values of the hyper-parameters, by the names `dynamics` gives them,
        and `seed`.
    - `steps`: optimizer steps per cell.
    - `windows`: the curve of a cell is kept as statistics of this many windows of steps.
    - `dtype`: "float64", or "float32", which warns: rounding hides what is deep down.
    - `store`: a folder for the results (Zarr v3); `None` keeps them in memory.
    - `overwrite`, `resume`: what to do if `store` is there: replace it, or run the tiles that it
        lacks. A resumed sweep must have the same configuration, devices included.
    - `lanes`: cells that a device advances at once; by default measured where a sweep is
        long enough, and remembered. The same lanes give the same bits; others may round
        differently, and chaotic cells amplify rounding.

    Returns an `xarray.Dataset` with the grid's axes and `window` as dimensions: `loss_min`,
    `loss_max`, `loss_mean`, `log10_loss_mean` per window; `regime`, `margin` and the features per
    cell; the whole configuration as attributes.

    Raises a `ValueError` or `TypeError` that names the argument before anything is computed. A
    tile that fails at run time leaves its cells unlabelled (−1), with a warning, the error in the
    attribute `failures`, and all other cells intact.
    """
    results = Store(store)
    if resume and overwrite:
        raise ValueError("overwrite and resume exclude each other: choose one")
    if results.exists() and not (resume or overwrite):
        raise bad("store", str(store), "a new path, or given with overwrite or resume")
    stored = results.open().attrs if results.exists() and resume else None
    run = Run(
        problem=problem,
        grid=grid,
        dynamics=dynamics if isinstance(dynamics, Discrete) else Discrete.of(dynamics),
        steps=steps,
        windows=windows,
        dtype=dtype,
        given_lanes=stored.get("lanes") if stored and lanes is None else lanes,
    )
    run.check()
    if stored is not None:
        run.check_same(stored)
    else:
        results.create(run.coordinates(), tuple(grid.axes), run.tile_shape, dtype)
    if dtype == "float32":
        warnings.warn(
            "dtype = 'float32': losses below about 1e-14 of the initial loss are rounding, and "
            "the deep spikes of b >> a drown in it; use float64 to tell regimes apart",
            stacklevel=2,
        )
    _run_tiles(run, results)
    return results.open()


@dataclass(frozen=True)
class Run:
    """A sweep's arguments, checked, and what follows from them."""

    problem: Problem
    dynamics: Discrete
    grid: Grid
    steps: int
    windows: int
    dtype: str
    given_lanes: int | None

    def check(self) -> None:
        """Refuse whatever would fail later."""
        if not isinstance(self.problem, Problem):
            raise TypeError(f"problem = {self.problem!r} must be a phasejax.Problem")
        if not isinstance(self.grid, Grid):
            raise TypeError(f"grid = {self.grid!r} must be a phasejax.Grid")
        choice("dtype", self.dtype, DTYPES)
        whole("steps", self.steps)
        whole("windows", self.windows, least=8)
        if self.steps < self.windows:
            raise bad("steps", self.steps, f"at least windows = {self.windows}")
        if self.given_lanes is not None:
            whole("lanes", self.given_lanes)
        names = {*self.grid.axes, *self.grid.fixed} - {"seed"}
        self.dynamics.check_names(names)
        dynamics, numbers = self.dynamics_split
        for corner in self.grid.corners():
            dynamics.check_values({**numbers, **corner})
        for seed, loss in zip(self.seeds, self.initial_loss, strict=True):
            if loss < 0:
                raise ValueError(
                    f"loss of problem '{self.problem.name}' is {loss} at the start of seed {seed}; "
                    "it must not be negative (log10 of it is kept): subtract its minimum"
                )
        if self.dtype == "float64" and self.mesh.devices.flat[0].platform == "tpu":
            raise bad("dtype", self.dtype, "'float32' on a TPU, which has no float64")

    @cached_property
    def dynamics_split(self) -> tuple[Discrete, dict[str, float]]:
        """The dynamics with its settings compiled in, and the fixed numbers."""
        fixed = {name: value for name, value in self.grid.fixed.items() if name != "seed"}
        return self.dynamics.split(fixed)

    @cached_property
    def seeds(self) -> list[int]:
        """Every seed of the sweep."""
        axis = self.grid.axes.get("seed")
        return [int(self.grid.fixed["seed"])] if axis is None else [int(s) for s in axis.values]

    @cached_property
    def starts(self) -> dict[int, PyTree[np.ndarray]]:
        """Starting point of each seed, in float64."""
        return {seed: initial_params(self.problem, seed) for seed in self.seeds}

    @property
    def sorted_seeds(self) -> list[int]:
        """Every seed once, in ascending order."""
        return sorted(self.starts)

    @cached_property
    def initial_loss(self) -> Float[np.ndarray, " seeds"]:
        """Loss at the starting point of each seed."""
        return np.array([checked_initial_loss(self.problem, self.starts[s]) for s in self.seeds])

    @cached_property
    def mesh(self) -> Mesh:
        """All local devices, in a row."""
        return Mesh(np.array(jax.local_devices()), ("cells",))

    @cached_property
    def size(self) -> int:
        """Parameters of the problem."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.starts[self.seeds[0]]))

    @cached_property
    def lanes_and_source(self) -> tuple[int, str]:
        """Cells that a device advances at once: "given", "measured" or "guessed"."""
        lanes, source = (self.given_lanes, "given") if self.given_lanes else choose(self)
        return min(lanes, math.ceil(self.grid.size / self.mesh.size)), source

    @property
    def lanes(self) -> int:
        """Cells that a device advances at once."""
        return self.lanes_and_source[0]

    @property
    def device(self) -> str:
        """Number and kind of the devices."""
        device = self.mesh.devices.flat[0]
        return f"{self.mesh.size} x {device.platform} {device.device_kind}"

    @cached_property
    def tile_shape(self) -> tuple[int, ...]:
        """Cells of a tile along each axis."""
        return tile_shape(self.grid.shape, self.mesh.size * self.lanes * GROUPS)

    @cached_property
    def batch(self) -> int:
        """Places for cells of a tile on all devices, whole groups of `lanes` on each."""
        per_round = self.mesh.size * self.lanes
        return per_round * math.ceil(math.prod(self.tile_shape) / per_round)

    @cached_property
    def config(self) -> dict[str, Any]:
        """All that decides the bits of the result on a given machine."""
        dynamics, _ = self.dynamics_split
        return {
            "problem": self.problem.name,
            "problem_arguments": dict(self.problem.config),
            "problem_fingerprint": fingerprint(self.problem, list(self.starts.values())),
            "optimizer": dynamics.name,
            "optimizer_module": getattr(dynamics.factory, "__module__", ""),
            "axes": {
                name: {"values": list(axis.values), "scale": axis.scale}
                for name, axis in self.grid.axes.items()
            },
            "fixed": self._fixed(),
            "seeds": self.seeds,
            "steps": self.steps,
            "windows": self.windows,
            "dtype": self.dtype,
            "device": self.device,
            "batch": self.batch,
            "lanes": self.lanes,
            "tile_shape": list(self.tile_shape),
        }

    def _fixed(self) -> dict[str, Any]:
        """Hyper-parameters that are no axis, the optimizer's defaults included."""
        dynamics, numbers = self.dynamics_split
        fixed = dynamics.defaults() | numbers | dict(dynamics.settings)
        return {
            name: value if isinstance(value, bool | int | float | None) else repr(value)
            for name, value in fixed.items()
            if name not in self.grid.axes
        }

    def check_same(self, attributes: dict[str, Any]) -> None:
        """Refuse to resume a store that another configuration wrote."""
        for name, value in self.config.items():
            if attributes.get(name) != value:
                raise ValueError(
                    f"resume = True: {name} differs, {attributes.get(name)!r} in the store and "
                    f"{value!r} now; resume with the same configuration, or overwrite"
                )

    def coordinates(self) -> xr.Dataset:
        """Coordinates, initial loss and attributes of the results."""
        axes = {}
        for name, axis in self.grid.axes.items():
            values = np.asarray(axis.values, int if name == "seed" else float)
            axes[name] = (name, values, {"scale": axis.scale})
        step = edges(self.steps, self.windows)[:-1]
        seeded = "seed" in axes
        return xr.Dataset(
            {
                "initial_loss": (
                    ("seed",) if seeded else (),
                    self.initial_loss if seeded else self.initial_loss[0],
                    {"long_name": "loss at the starting point"},
                )
            },
            coords=axes
            | {
                "window": np.arange(self.windows),
                "step": ("window", step, {"long_name": "first step of the window"}),
            },
            attrs={
                "title": f"{self.dynamics.name} on {self.problem.name}",
                "Conventions": "CF-1.11",
                **self.config,
                "lanes_source": self.lanes_and_source[1],
                **_versions(),
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "failures": [],
            },
        )


def _run_tiles(run: Run, results: Store) -> None:
    """Run what is not there yet, one tile after the other, with progress on a terminal."""
    tiles = run.grid.tiles(run.tile_shape)
    todo = [tile for tile in tiles if not results.finished(tile)]
    failures: list[str] = []
    done = run.grid.size - sum(cells_in(tile) for tile in todo)
    with jax.enable_x64(run.dtype == "float64"), _progress(run, done) as progress:
        for tile in todo:
            try:
                _run_tile(run, results, tile, progress)
                done += cells_in(tile)
                progress.set_postfix_str(f"{done}/{run.grid.size} cells")
            except (RuntimeError, MemoryError, OSError) as error:
                failures.append(f"{_where(run.grid, tile)}: {error}")
    results.close(failures)
    if failures:
        warnings.warn(
            f"{len(failures)} of {len(tiles)} tiles failed and are unlabelled; the first: "
            f"{failures[0]}",
            RuntimeWarning,
            stacklevel=3,
        )


def _run_tile(run: Run, results: Store, tile: Tile, progress: tqdm) -> None:
    envelope = envelope_of_tile(run, tile, progress.update)
    shape = envelope.loss_min.shape[:-1]
    initial = dict(zip(run.seeds, run.initial_loss, strict=True))
    seeds = run.grid.cells(tile).get("seed", np.full(shape, run.seeds[0]))
    initial_loss = np.array([initial[int(seed)] for seed in seeds.ravel()]).reshape(shape)
    labels = classify_envelope(envelope, initial_loss, float(np.finfo(run.dtype).eps))
    results.write(tile, envelope, labels)


def _progress(run: Run, cells_done: int) -> tqdm:
    """Cell-steps done, their rate and the time left, on standard error if it is a terminal."""
    return tqdm(
        total=run.grid.size * run.steps,
        initial=cells_done * run.steps,
        unit="cell-step",
        unit_scale=True,
        desc=f"{run.steps} steps",
        disable=None,
    )


def _where(grid: Grid, tile: Tile) -> str:
    cells = grid.cells(tile)
    return ", ".join(f"{name} {v.min():g} to {v.max():g}" for name, v in cells.items())


def _versions() -> dict[str, str]:
    packages = ("phasejax", "jax", "jaxlib", "optax", "diffrax", "numpy", "xarray", "zarr")
    versions = {f"{name}_version": importlib.metadata.version(name) for name in packages}
    return versions | {"python_version": platform.python_version(), "host": platform.platform()}
