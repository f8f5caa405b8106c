"""Real handwritten digits and a small network: the problem of the main diagram."""

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .._check import bad, whole
from .._types import Whole
from .network import network
from .problem import Problem


def digits(
    digits: Sequence[Whole] = (0, 1),
    samples: Whole = 64,
    hidden: Sequence[Whole] = (16, 16),
    activation: str = "relu",
    loss: str = "mse",
    batch_size: Whole | None = None,
) -> Problem:
    """Tell two handwritten digits apart with a fully connected network.

    The data are the first `samples` scans of the two digits in scikit-learn's `load_digits`
    (8 × 8 pixels, scaled to [0, 1]), with targets −1 for the first digit and +1 for the second.

    **Arguments:**

    - `digits`: the two digits, each 0 to 9.
    - `samples`: how many scans; at most as many as the data set has (about 360).
    - `hidden`, `activation`, `loss`, `batch_size`: the network 64-`hidden`-1, what it minimizes,
        and the noise of its gradient, as in `phasejax.problems.network`.
    """
    digits = tuple(whole("digits", value, least=0) for value in digits)
    if len(digits) != 2 or len(set(digits)) != 2 or not set(digits) <= set(range(10)):
        raise bad("digits", digits, "two different digits from 0 to 9")
    samples = whole("samples", samples, least=2)
    images, targets = _scans(digits)
    if samples > len(targets):
        raise bad("samples", samples, f"at most {len(targets)}, all there are of digits {digits}")
    data = images[:samples], targets[:samples]
    problem = network(*data, hidden, activation, loss, "digits", batch_size)
    config = {"digits": list(digits), "samples": samples, **problem.config}
    return dataclasses.replace(problem, config=config)


@lru_cache
def _scans(digits: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # half a second that toy problems need not wait for

    data: Any = load_digits()
    images, labels = data.data, data.target
    chosen = np.isin(labels, digits)
    return images[chosen] / 16, np.where(labels[chosen] == digits[0], -1.0, 1.0)
