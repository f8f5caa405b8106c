"""`phasejax.compare_flows`: how long each flow predicts the mean loss of an optimizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ._check import positive
from ._sweep import sweep
from ._types import Whole
from .dynamics import Dynamics, Optimizer, central_flow, rod_flow, stable_flow
from .dynamics.beside import Beside
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

    - `loss_mean` `[axes, window]`: mean loss of the optimizer, and its `regime` `[axes]`.
    - `predicted_loss` `[flow, axes, window]`: mean loss that a flow predicts.
    - `error` `[flow, axes, window]`: the latter over the former, both less the problem's minimum,
        less 1; inf where only the flow's loss is not finite, nan where the optimizer's is not.
    - `distance` `[flow, axes, window]`: of the mean parameters of a window, the flow's from the
        optimizer's, over how far these have come from the start.
    - `follows_until` `[flow, axes]`: first step of the first window with a larger error than
        `tolerance`, or `steps` if there is none.
    - `flow_edge_ratio`, `flow_beyond` `[axes, window]`: of the central flow. Where `flow_beyond` is
        above 1, it left out a direction.

    Raises a `ValueError` that names the argument, as `phasejax.sweep` and `phasejax.central_flow`.

    ```python
    grid = pj.Grid(learning_rate=pj.log_axis(0.05, 0.5, 4))
    compared = pj.compare_flows(pj.problems.deep_linear(), optax.sgd, grid, steps=200)
    ```
    """
    positive("tolerance", tolerance)
    flows = {
        "stable": stable_flow(optimizer),
        "central": central_flow(optimizer, directions),
        "rod": rod_flow(optimizer),
    }
    run: dict[str, Any] = {"steps": steps, "windows": windows, "block_size": block_size}

    def swept(name: str, dynamics: Callable | Dynamics) -> xr.Dataset:
        store = {} if folder is None else {"store": Path(folder) / f"{name}.zarr", "resume": True}
        return sweep(problem, dynamics, grid, **run, **store).load()

    discrete = swept("optimizer", optimizer)
    given = Optimizer.of(optimizer)
    beside = {
        name: Beside(flow.factory, flow.settings, flow=flow, optimizer=given)
        for name, flow in flows.items()
    }
    followed = {name: swept(name, both) for name, both in beside.items()}
    names = xr.DataArray(list(flows), dims="flow", name="flow")
    predicted, distance = (
        xr.concat([x[variable] for x in followed.values()], names)
        for variable in ("loss_mean", "flow_distance")
    )
    least = problem.minimum or 0.0
    truth = discrete["loss_mean"] - least
    error = ((predicted - least) / truth - 1).where(np.isfinite(truth))
    error = error.where(np.isfinite(predicted) | ~np.isfinite(truth), np.inf)
    wrong: xr.DataArray = ~(abs(error) <= tolerance)
    first = discrete["step"].isel(window=wrong.argmax("window").compute())
    until = first.where(wrong.any("window"), int(steps)).drop_vars(("step", "window"))
    central = followed["central"]
    found = discrete[["loss_mean", "regime"]].assign(
        predicted_loss=predicted, error=error, distance=distance, follows_until=until
    )
    for name in ("flow_edge_ratio", "flow_beyond"):
        found[name] = central[name]
    found = found.assign_attrs(directions=int(directions), tolerance=tolerance)
    return found.drop_encoding()  # of the stores that it came from
