"""How a cell recurs at the end of its run: at rest, on a cycle, by spikes, or not at all."""

import numpy as np
import xarray as xr

from .._check import ArgumentError
from .codes import NAMES
from .spikes import SEVERAL

RECURRENCES = ("none", "fixed_point", "cycle", "quasi-periodic", "chaotic", "spikes")
"""Recurrences by code: 0, 1, ...; −1 is a cell of which nothing is known."""


def recurrence(dataset: xr.Dataset, zero: float | None = None) -> xr.DataArray:
    """Say how every cell of a sweep with the probe `period` recurs.

    **Arguments:**

    - `dataset`: a sweep with `probes=["period"]`. The variable `lyapunov_exponent` (largest
        exponent, per step) is used if it is there.
    - `zero`: exponents of at most this size are zero; by default two standard errors of each.

    Returns codes over the axes of the grid, the first of these that holds:

    - −1: not known. The run diverged, or was shorter than the probe's ring.
    - 1 fixed point, 2 cycle: the probe found the period; `final_period` has it.
    - 5 spikes: the regime is spike and the run has at least three; `spike_period` has their mean
        distance. Such a cycle is longer than the ring, and may be irregular.
    - 4 chaotic: the exponent is greater than `zero`.
    - 3 quasi-periodic: the exponent is zero.
    - 0 none found: the exponent is negative or not known, as of a descent or of a cycle that is
        longer than half the ring.

    Mini-batches are noise: their cells have neither a period nor a deterministic exponent. Raises
    a `ValueError` for a dataset without the probe.

    ```python
    dataset = pj.sweep(problem, pj.rmsprop, grid, probes=["period"])
    print(pj.recurrence(dataset))
    ```
    """
    if "period_kind" not in dataset:
        raise ArgumentError("dataset", " has no period_kind: sweep with probes=['period']")
    kind = dataset["period_kind"]
    exponent = dataset.get("lyapunov_exponent", xr.full_like(kind, np.nan))
    spikes = (dataset["regime"] == NAMES.index("spike")) & (dataset["spike_count"] >= SEVERAL)
    errors = dataset.get("lyapunov_error", xr.zeros_like(kind))
    bound = 2 * errors if zero is None else xr.full_like(kind, zero)
    code = xr.where(abs(exponent) <= bound, RECURRENCES.index("quasi-periodic"), 0)
    code = xr.where(exponent > bound, RECURRENCES.index("chaotic"), code)
    code = xr.where(spikes, RECURRENCES.index("spikes"), code)
    known = kind.notnull() & (dataset["regime"] != NAMES.index("divergence"))
    code = xr.where(kind > 0, kind, code).where(known, -1).astype(np.int8)
    code.attrs = {
        "long_name": "recurrence at the end of the run",
        "flag_values": list(range(-1, len(RECURRENCES))),
        "flag_meanings": " ".join(("unknown", *RECURRENCES)),
    }
    return code.rename("recurrence")
