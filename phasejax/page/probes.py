"""What a page carries of probes: curves for the panels below the losses, and maps."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Bool

from ..plot.scale import centre_of, is_wide, scale_of
from ..results.variables import described, probed_variables, window_variables
from .pack import pack_probes

FIRST = ("edge_ratio", "predictor_max", "growth_rate", "gradient_norm_mean")
"""Variables that are carried and listed before others."""
MOST_CURVES = 100_000
"""Most curves of a page. Of more, the last variables are left out: their windows would be few."""


class Carried(NamedTuple):
    """Arrays and settings of a page, besides those of the losses; empty without probes.

    - `features`, `ranges`, `scales`: text, ends and kind of scale of each map.
    - `probes`: settings of the panels below the losses.
    """

    arrays: dict[str, np.ndarray]
    features: dict[str, str]
    ranges: dict[str, list[float]]
    scales: dict[str, str]
    probes: dict[str, Any]


def carried(dataset: xr.Dataset, computed: Bool[np.ndarray, " cells"]) -> Carried:
    """Return what the page of a sweep `[x, y, window]` carries of its probes."""
    found = Carried({}, {}, {}, {}, {})
    measured = dataset.attrs.get("measured", [])
    for name, values in probed_variables(dataset).items():
        key = f"{'probe' if name in measured else 'mechanism'} {name}"  # no name of the page's own
        scale = scale_of(name, values.values)
        with np.errstate(over="ignore"):
            found.arrays[key] = values.values.astype(np.float32)
        found.features[key] = described(values)
        found.ranges[key] = [scale.low, scale.high]
        found.scales[key] = scale.kind
    if window_variables(dataset):
        arrays, probes = _curves(dataset, computed)
        found.arrays.update(arrays)
        found.probes.update(probes)
    return found


def _curves(
    dataset: xr.Dataset, computed: Bool[np.ndarray, " cells"]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and settings of the panels."""
    names = _chosen(window_variables(dataset), int(computed.sum()))
    windows = dataset.sizes["window"]
    measured = {name: dataset[name].values.reshape(-1, windows)[computed] for name in names}
    curves, units = pack_probes(measured)
    arrays = {
        "probe low": curves.low,
        "probe high": curves.high,
        "probe starts": dataset["step"].values[:: curves.merged].astype(float),
    }
    return arrays, {
        "resolution": curves.resolution,
        "variables": [
            {
                "name": name.replace("_", " "),
                "text": described(dataset[name]),
                "unit": units[name],
                "log": centre_of(name) is None and is_wide(values[np.isfinite(values)]),
                "line": centre_of(name),
            }
            for name, values in measured.items()
        ],
    }


def _chosen(names: list[str], cells: int) -> list[str]:
    """Return the variables that a page with this number of computed cells carries, at least one."""
    order = sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    return order[: max(MOST_CURVES // max(cells, 1), 1)]
