"""Starting point of a problem in one vector: given, or drawn from the seed."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._check import bad


class Start:
    """`init` of a problem whose parameters are one vector of length `size`.

    `start=None` draws a standard normal point from the seed; otherwise every seed starts at
    `start`.
    """

    def __init__(self, size: int, start: Sequence[float] | None) -> None:
        if start is not None and (len(start) != size or not np.all(np.isfinite(start))):
            raise bad("start", start, f"{size} finite numbers, or None")
        self.size = size
        self.start = None if start is None else [float(x) for x in start]

    def __call__(self, key: PRNGKeyArray) -> Float[Array, " size"]:
        """Return the starting point."""
        if self.start is None:
            return jax.random.normal(key, (self.size,))
        return jnp.asarray(self.start, float)
