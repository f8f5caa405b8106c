"""The loss on a mini-batch of data whose last axis is the samples."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from .._check import bad, whole
from .._types import Whole


def checked_batch_size(batch_size: Whole | None, samples: int) -> int | None:
    """Return the size as an `int`; refuse one that is larger than the number of samples."""
    if batch_size is None:
        return None
    if whole("batch_size", batch_size) > samples:
        raise bad("batch_size", batch_size, f"at most {samples}, the number of samples")
    return int(batch_size)


@lru_cache
def on_batch(loss: Callable, batch_size: int) -> Callable:
    """Return `batch_loss(*data, params, key)` of `loss(*data, params)`.

    It draws `batch_size` samples with replacement. Cached, so that equal problems share one
    compiled program.
    """

    def batch_loss(*arguments: Any) -> Any:
        *data, params, key = arguments
        drawn = jax.random.randint(key, (batch_size,), 0, data[0].shape[-1])
        return loss(*(jnp.take(array, drawn, axis=-1) for array in data), params)

    return batch_loss
