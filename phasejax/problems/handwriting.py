"""Images of handwritten digits, which scikit-learn has in its package."""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from .._check import bad, whole
from .._types import Whole


@lru_cache
def handwriting() -> tuple[Float[np.ndarray, "images 64"], Int[np.ndarray, " images"]]:
    """Images of 8 × 8 pixels in [0, 1] and their digits 0 to 9, as `load_digits` has them."""
    table = np.loadtxt(_file(), delimiter=",")
    return table[:, :-1] / 16, table[:, -1].astype(int)


def first_images(
    samples: Whole,
) -> tuple[Float[np.ndarray, "samples 64"], Int[np.ndarray, " samples"]]:
    """Return the first `samples` images and their digits; refuse more than there are."""
    images, labels = handwriting()
    samples = whole("samples", samples, least=2)
    if samples > len(labels):
        raise bad("samples", samples, f"at most {len(labels)}, the number of images")
    return images[:samples], labels[:samples]


def _file() -> Path:
    """The file that scikit-learn's `load_digits` reads: importing scikit-learn takes 0.5 s."""
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise ImportError("images of digits need scikit-learn: pip install scikit-learn")
    return Path(found.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
