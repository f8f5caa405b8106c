"""The degenerate minimum |x|^k / k."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._check import bad
from .._types import AnyArray
from .problem import Problem
from .start import Start


def power(k: float = 4, start: Sequence[float] | None = (1.0,)) -> Problem:
    """f(x) = |x|ᵏ / k in one dimension, the family of arXiv 2603.09581.

    The minimum is 0, at x = 0. For k > 2 the Hessian is zero there and there is no PL constant;
    k = 2 is x²/2, with PL constant 2.

    **Arguments:**

    - `k`: the exponent, greater than 1. Even integers run fastest.
    - `start`: the starting point, a list of one number; `None` draws it from a standard normal
        distribution with the sweep's seed.
    """
    if not (np.isfinite(k) and k > 1):
        raise bad("k", k, "a finite number greater than 1")
    init = Start(1, start)
    return Problem(
        loss=_power_loss(int(k) if k == int(k) else float(k)),
        init=init,
        name="power",
        config={"k": k, "start": init.start},
        minimum=0.0,
        pl_constant=2.0 if k == 2 else None,
        hessian=None if k < 2 else np.array([[1.0 if k == 2 else 0.0]]),
    )


@lru_cache
def _power_loss(k: float) -> Callable:
    even = k % 2 == 0

    def power_loss(x: Float[AnyArray, "1"]) -> Float[Array, ""]:
        return (x[0] if even else jnp.abs(x[0])) ** k / k

    return power_loss
