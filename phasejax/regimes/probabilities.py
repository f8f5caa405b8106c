"""Probability of each regime over many seeds, and the entropy of the regime."""

import numpy as np
import xarray as xr

from .._check import choice, swept
from .codes import NAMES


def regime_probabilities(dataset: xr.Dataset, over: str = "seed") -> xr.Dataset:
    """Count regimes along one axis of a sweep.

    **Arguments:**

    - `dataset`: a sweep with the axis `over`.
    - `over`: the axis whose values are the runs of a cell; by default `seed`, which draws the
        starting points, and the mini-batches if there are any.

    Returns a dataset over the remaining axes:

    - `probability`: share of the runs that are in each regime; its first dimension is `label`
        (names of the regimes).
    - `entropy`: −Σ p log2 p in bits: 0 where all runs agree, at most log2(5) = 2.3. With n runs and
        k regimes that occur, it is on average (k − 1) / (2 n ln 2) bits too small (Miller 1955).
    - `runs`: number of runs that have a regime, so without unlabelled and unresolved ones. Where
        it is 0, `probability` and `entropy` are nan.
    """
    swept(dataset, "regime")
    choice("over", over, [str(name) for name in dataset["regime"].dims])
    regime = dataset["regime"]
    counts = xr.concat(
        [(regime == code).sum(over) for code in range(len(NAMES))],
        dim=xr.Variable("label", list(NAMES)),
    )
    runs = counts.sum("label")
    probability = counts / runs.where(runs > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = xr.where(probability > 0, probability * np.log2(probability), 0.0)
    entropy = abs(terms.sum("label")).where(runs > 0)
    return xr.Dataset(
        {
            "probability": probability.assign_attrs(long_name="share of the runs"),
            "entropy": entropy.assign_attrs(long_name="entropy of the regime", units="bits"),
            "runs": runs.assign_attrs(long_name="runs with a regime"),
        },
        attrs={**dataset.attrs, "over": over},
    )
