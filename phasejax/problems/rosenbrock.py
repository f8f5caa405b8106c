"""The curved valley of Rosenbrock (1960)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._check import positive, whole
from .._types import AnyArray, Whole
from .problem import Problem
from .start import Start


def rosenbrock(
    steepness: float = 100.0, dimension: Whole = 2, start: Sequence[float] | None = None
) -> Problem:
    """f(x) = Σᵢ steepness·(xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)², i = 1 … dimension − 1.

    The minimum is 0, at (1, …, 1), where the Hessian is known; a global PL constant is not.

    **Arguments:**

    - `steepness`: steepness of the valley's walls, positive; 100 in Rosenbrock (1960).
    - `dimension`: length of x, two or more.
    - `start`: the starting point; by default drawn from a standard normal distribution with the
        sweep's seed.
    """
    positive("steepness", steepness)
    dimension = whole("dimension", dimension, least=2)
    init = Start(dimension, start)
    hessian = np.zeros((dimension, dimension))
    for i in range(dimension - 1):
        hessian[i : i + 2, i : i + 2] += [
            [8 * steepness + 2, -4 * steepness],
            [-4 * steepness, 2 * steepness],
        ]
    return Problem(
        loss=jax.tree_util.Partial(_rosenbrock_loss, np.array(steepness, np.float64)),
        init=init,
        name="rosenbrock",
        config={"steepness": steepness, "dimension": dimension, "start": init.start},
        minimum=0.0,
        hessian=hessian,
    )


def _rosenbrock_loss(
    steepness: Float[AnyArray, ""], x: Float[AnyArray, " size"]
) -> Float[Array, ""]:
    return jnp.sum(steepness * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
