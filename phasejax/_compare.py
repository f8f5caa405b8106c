"""`phasejax.compare_flows`: how long each flow predicts the mean loss of an optimizer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ._check import ArgumentError, bad, positive, whole
from ._sweep import specification, sweep
from ._types import Whole
from .dynamics import Dynamics, central_flow, rod_flow, stable_flow
from .dynamics.beside import Beside
from .dynamics.optimizer import optimizer_of
from .grid import Grid
from .problems import Problem


def compare_flows(
    problem: Problem,
    optimizer: Callable,
    grid: Grid,
    *,
    steps: Whole,
    windows: Whole = 20,
    directions: Whole = 2,
    tolerance: float = 0.1,
    block_size: Whole | None = None,
    folder: str | Path | None = None,
) -> xr.Dataset:
    """Run an optimizer and its flows on every cell of a grid, and compare their mean losses.

    **Arguments:**

    - `problem`, `grid`, `steps`, `windows`, `block_size`: as in `phasejax.sweep`.
    - `optimizer`: one that `phasejax.central_flow` knows.
    - `directions`: those of the central flow.
    - `tolerance`: largest relative error with which a flow follows the optimizer.
    - `folder`: where the optimizer and each flow keep a store, by which a comparison that was cut
        off resumes; `None` keeps them in memory.

    Returns an `xarray.Dataset` with the grid's axes, `window`, and `flow` (stable, central, rod):

    - `loss_mean` `[axes, window]`: mean loss of the optimizer; `regime` and `status` `[axes]`.
    - `predicted_loss` `[flow, axes, window]`: mean loss that a flow predicts.
    - `error` `[flow, axes, window]`: the latter over the former, both less the problem's minimum,
        less 1; inf where only the flow's loss is not finite, nan where the optimizer's is not. A
        minimum that is not known counts as 0.
    - `distance` `[flow, axes, window]`: of the mean parameters of a window, the flow's from the
        optimizer's, over how far these have come from the start.
    - `follows_until` `[flow, axes]`: first step of the first window with a larger error than
        `tolerance`, or without one; `steps` if there is none.
    - `flow_edge_ratio`, `flow_beyond` `[axes, window]`: of the central flow. Where `flow_beyond` is
        above 1, it left out a direction.

    Raises a `ValueError` that names the argument, as `phasejax.sweep` and `phasejax.central_flow`.

    ```python
    grid = pj.Grid(learning_rate=pj.log_axis(0.05, 0.5, 4))
    compared = pj.compare_flows(pj.problems.deep_linear(), optax.sgd, grid, steps=200)
    ```
    """
    positive("tolerance", tolerance)
    if folder is not None and (not isinstance(folder, str | Path) or not str(folder)):
        raise bad("folder", folder, "a path")
    steps = whole("steps", steps)
    given = optimizer_of(optimizer)
    flows = {
        "stable": stable_flow(optimizer),
        "central": central_flow(optimizer, directions),
        "rod": rod_flow(optimizer),
    }
    jobs: Mapping[str, Dynamics] = {"optimizer": given} | {
        name: Beside(flow.factory, flow.settings, flow=flow, optimizer=given)
        for name, flow in flows.items()
    }
    for dynamics in jobs.values():  # nothing runs before all is checked
        specification(problem, dynamics, grid, steps, None, windows, "float64", None, ())
    run: dict[str, Any] = {"steps": steps, "windows": windows, "block_size": block_size}
    datasets = {
        name: _swept(folder, name, problem=problem, dynamics=dynamics, grid=grid, **run)
        for name, dynamics in jobs.items()
    }
    found = _compared(datasets, problem.minimum or 0.0, tolerance)
    return found.assign_attrs(directions=int(directions), tolerance=tolerance)


def _swept(folder: str | Path | None, name: str, **arguments: Any) -> xr.Dataset:
    """Sweep, or resume the store of this name in the folder."""
    if folder is None:
        return sweep(**arguments)
    try:
        return sweep(**arguments, store=Path(folder) / f"{name}.zarr", resume=True).load()
    except ArgumentError as error:
        if error.argument not in ("resume", "store"):
            raise
        why = error.text.partition(": ")[2].partition("; resume")[0]
        said = f" = {str(folder)!r}: choose another one; its {name}.zarr is not of this comparison"
        raise ArgumentError("folder", f"{said} ({why})") from None


def _compared(datasets: dict[str, xr.Dataset], least: float, tolerance: float) -> xr.Dataset:
    """Return the variables of a comparison, from the sweeps of the optimizer and of its flows."""
    discrete, *flows = datasets.values()
    names = xr.DataArray(list(datasets)[1:], dims="flow", name="flow")
    predicted, distance = (
        xr.concat([flow[variable] for flow in flows], names)
        for variable in ("loss_mean", "flow_distance")
    )
    truth = discrete["loss_mean"] - least
    error = ((predicted - least) / truth - 1).where(np.isfinite(truth))
    error = error.where(np.isfinite(predicted) | ~np.isfinite(truth), np.inf)
    wrong: xr.DataArray = ~(abs(error) <= tolerance)
    first = discrete["step"].isel(window=wrong.argmax("window").compute())
    until = first.where(wrong.any("window"), discrete.attrs["steps"])
    until = until.drop_vars(("step", "window"))
    error.attrs = {"long_name": "relative error of the predicted mean loss"}
    until.attrs = {"long_name": "steps that the flow follows", "units": "steps"}
    central = datasets["central"]
    found = discrete[["loss_mean", "regime", "status"]].assign(
        predicted_loss=predicted,
        error=error,
        distance=distance,
        follows_until=until,
        flow_edge_ratio=central["flow_edge_ratio"],
        flow_beyond=central["flow_beyond"],
    )
    return found.drop_encoding()  # of the stores that it came from
