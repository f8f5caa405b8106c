"""Two handwritten digits and a small network: the problem of the main diagram."""

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .._check import bad, whole
from .._types import Whole
from .classes import two_classes
from .handwriting import handwriting
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
    """Classify images of two handwritten digits with a fully connected network.

    The data are the first `samples` images of the two digits in scikit-learn's `load_digits`
    (8 × 8 pixels, scaled to [0, 1]), with targets −1 for the first digit and +1 for the second.

    **Arguments:**

    - `digits`: the two digits, each 0 to 9.
    - `samples`: number of images; the data set has about 360 of two digits.
    - `hidden`, `activation`, `loss`, `batch_size`: as in `phasejax.problems.network`; the network
        is 64-`hidden`-1.
    """
    digits = two_classes("digits", digits, "digits")
    samples = whole("samples", samples, least=2)
    images, targets = _images(digits)
    if samples > len(targets):
        most = f"at most {len(targets)}, the number of images of digits {digits}"
        raise bad("samples", samples, most)
    data = images[:samples], targets[:samples]
    problem = network(*data, hidden, activation, loss, "digits", batch_size)
    config = {"digits": list(digits), "samples": samples, **problem.config}
    return dataclasses.replace(problem, config=config)


@lru_cache
def _images(digits: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """All images `[samples, 64]` of two digits, and their targets `[samples]`."""
    images, labels = handwriting()
    chosen = np.isin(labels, digits)
    return images[chosen], np.where(labels[chosen] == digits[0], -1.0, 1.0)
