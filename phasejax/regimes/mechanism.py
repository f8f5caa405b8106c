"""Why cells spike or oscillate: their runs and the edge of stability, from what probes measured."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from .._check import ArgumentError
from .classify import judged
from .spikes import Spikes

NEAR = 0.8
"""Ratio to the threshold from which on a run is near the edge of stability."""
LATE = 0.25
"""Share of the windows, at the end of a run, that are late."""
TEXTS = {
    "edge_onset": ("first step at which the edge ratio was at least 0.8", "step"),
    "edge_crossing": ("first step at which the edge ratio was at least 1", "step"),
    "edge_peak": ("largest edge ratio", "1"),
    "edge_late": ("median edge ratio in the last quarter of the run", "1"),
    "first_spike": ("first step of the window in which the first spike begins", "step"),
    "spikes_at_edge": ("spikes that began where the edge ratio was at least 1", "1"),
    "crossings": ("crossings of 1 by the spike predictor", "1"),
    "spikes_announced": ("spikes with a crossing of 1 by the spike predictor before them", "1"),
    "spikes_missed": ("spikes without such a crossing", "1"),
    "false_alarms": ("crossings of 1 by the spike predictor without a spike", "1"),
    "warning_steps": ("median steps from the crossing to the window of the highest loss", "step"),
}
"""Long name and unit of each variable of `mechanism`."""


def mechanism(dataset: xr.Dataset) -> xr.Dataset:
    """Say for each cell when it came to the edge of stability, and which spikes began there.

    ```python
    dataset = pj.sweep(problem, pj.adam, grid, probes=["sharpness", "predictor"])
    pj.mechanism(dataset)["edge_crossing"].plot()
    ```

    `dataset` is a sweep with the probe `sharpness`, `predictor` or both. Returns one value per
    cell, nan where nothing was measured:

    - `edge_onset`, `edge_crossing`: first step at which the ratio of sharpness to threshold was at
        least 0.8, and at least 1; nan if it never was. Ratios are measured at the ends of windows.
    - `edge_peak`, `edge_late`: the largest ratio, and its median in the last quarter of the run.
    - `first_spike`: first step of the window in which the first spike begins; nan without spikes.
    - `spikes_at_edge`: spikes for which the ratio was at least 1 at the end of one of the two
        windows before the one in which they begin, or of that one.
    - `crossings`: sustained crossings of 1 by the spike predictor. This and what follows is nan
        where a loss was not finite: what announces a divergence announces no spike.
    - `spikes_announced`, `spikes_missed`, `false_alarms`: spikes with and without a sustained
        crossing of 1 by the spike predictor, in the windows from the one before they begin to
        that of their highest loss; and crossings that belong to no spike.
    - `warning_steps`: median number of steps from the crossing to the beginning of the window of
        the highest loss; 0 if that is the same window.

    Raises a `ValueError` for a sweep without these probes.
    """
    if not is_probed(dataset):
        raise ArgumentError("dataset", " has no probe sharpness or predictor: run it with one")
    cells = dataset["loss_mean"].transpose(..., "window").dims[:-1]
    found = _Found(judged(dataset).spikes, dataset["step"].values)
    shape = tuple(dataset.sizes[name] for name in cells)
    values = {"first_spike": _first_spike(found, int(np.prod(shape)))}
    diverged = np.isposinf(_rows(dataset, "loss_max")).any(1)
    if "edge_ratio" in dataset:
        values |= _edge(found, _rows(dataset, "edge_ratio"), float(dataset.attrs["horizon"]))
    if "predictor_max" in dataset:
        counts, last = (
            _rows(dataset, f"predictor_{name}") for name in ("crossings", "last_crossing")
        )
        predicted = _predicted(found, counts, last)
        values |= {name: _where(np.asarray(~diverged), x) for name, x in predicted.items()}
    attributes = {
        name: dict(zip(("long_name", "units"), TEXTS[name], strict=True)) for name in TEXTS
    }
    return xr.Dataset(
        {n: (cells, v.reshape(shape), attributes[n]) for n, v in values.items()},
        {name: dataset[name] for name in cells},
        {"title": f"mechanism of {dataset.attrs['title']}"},
    )


def late_windows(windows: int) -> slice:
    """Return the late ones of a number of windows: the last quarter, at least one."""
    return slice(-max(int(LATE * windows), 1), None)


def is_probed(dataset: xr.Dataset) -> bool:
    """Say whether a sweep has a probe of which `mechanism` can say something."""
    return "edge_ratio" in dataset or "predictor_max" in dataset


class _Found(NamedTuple):
    """Spikes of all cells, and the first step of every window."""

    spikes: Spikes
    steps: np.ndarray


def _rows(dataset: xr.Dataset, name: str) -> Float[np.ndarray, "cells window"]:
    values = dataset[name].transpose(..., "window").values
    return values.reshape(-1, values.shape[-1])


def _first_spike(found: _Found, cells: int) -> Float[np.ndarray, " cells"]:
    steps = np.full(cells, np.nan)
    np.fmin.at(steps, found.spikes.cell, found.steps[found.spikes.first].astype(float))
    return steps


def _edge(
    found: _Found, ratio: Float[np.ndarray, "cells window"], horizon: float
) -> dict[str, Float[np.ndarray, " cells"]]:
    """Compare ratios, measured at the ends of windows, with the edge."""
    ends = np.append(found.steps[1:], horizon)
    late = ratio[:, late_windows(ratio.shape[1])]
    above = _around(found, ratio >= 1, before=2)
    return {
        "edge_onset": _first(ratio >= NEAR, ends),
        "edge_crossing": _first(ratio >= 1, ends),
        "edge_peak": _of_known(np.nanmax, ratio),
        "edge_late": _of_known(np.nanmedian, late),
        "spikes_at_edge": _where(_measured(ratio), _count(found, above, len(ratio))),
    }


def _predicted(
    found: _Found,
    counts: Float[np.ndarray, "cells window"],
    last: Float[np.ndarray, "cells window"],
) -> dict[str, Float[np.ndarray, " cells"]]:
    """Match crossings with spikes."""
    crossed = counts > 0
    announced = _around(found, crossed, before=1)
    size, (spikes, steps) = len(counts), found
    belongs = np.zeros_like(crossed)
    leads: list[list[float]] = [[] for _ in range(size)]
    for cell, first, top in zip(spikes.cell, spikes.first, spikes.highest, strict=True):
        reach = slice(max(first - 1, 0), top + 1)
        belongs[cell, reach] = True
        before = last[cell, reach]
        if np.isfinite(before).any():
            leads[cell].append(max(steps[top] - np.nanmin(before), 0.0))
    known = _measured(counts)
    return {
        "crossings": _where(known, np.nan_to_num(counts).sum(1)),
        "spikes_announced": _where(known, _count(found, announced, size)),
        "spikes_missed": _where(known, _count(found, ~announced, size)),
        "false_alarms": _where(known, np.where(belongs, 0, np.nan_to_num(counts)).sum(1)),
        "warning_steps": np.array([np.median(x) if x else np.nan for x in leads]),
    }


def _around(
    found: _Found, there: Bool[np.ndarray, "cells window"], before: int
) -> Bool[np.ndarray, " spike"]:
    """Say for each spike whether a window is true from `before` it begins to its highest loss."""
    spikes = zip(found.spikes.cell, found.spikes.first, found.spikes.highest, strict=True)
    return np.array(
        [there[cell, max(first - before, 0) : top + 1].any() for cell, first, top in spikes], bool
    )


def _count(
    found: _Found, chosen: Bool[np.ndarray, " spike"], cells: int
) -> Float[np.ndarray, " cells"]:
    return np.bincount(found.spikes.cell[chosen], minlength=cells).astype(float)


def _first(
    there: Bool[np.ndarray, "cells window"], steps: np.ndarray
) -> Float[np.ndarray, " cells"]:
    return np.where(there.any(1), steps[there.argmax(1)], np.nan)


def _measured(values: Float[np.ndarray, "cells window"]) -> Bool[np.ndarray, " cells"]:
    """Say for each cell whether something was measured."""
    return np.asarray(np.isfinite(values).any(1))


def _where(known: Bool[np.ndarray, " cells"], values: np.ndarray) -> Float[np.ndarray, " cells"]:
    return np.where(known, values, np.nan)


def _of_known(
    function: Callable[..., np.ndarray], values: Float[np.ndarray, "cells window"]
) -> Float[np.ndarray, " cells"]:
    """Apply a function that skips nan to each row; nan for a row of nan."""
    known = _measured(values)
    return _where(known, function(np.where(known[:, None], values, 0.0), axis=1))
