"""A convex quadratic with any spectrum."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._check import bad
from .._types import AnyArray
from .problem import Problem
from .start import Start


def quadratic(
    spectrum: Sequence[float] = (1.0, 0.1), start: Sequence[float] | None = None
) -> Problem:
    """f(x) = ½ Σ λᵢ xᵢ², where `spectrum` holds the eigenvalues λᵢ ≥ 0 of the Hessian.

    The minimum is 0. The PL constant is twice the smallest positive eigenvalue:
    |∇f|² = Σ λᵢ² xᵢ² ≥ λ_min Σ λᵢ xᵢ² = 2 λ_min f.

    **Arguments:**

    - `spectrum`: the eigenvalues; finite, none negative, at least one positive.
    - `start`: the starting point; by default drawn from a standard normal distribution with the
        sweep's seed.
    """
    eigenvalues = np.asarray(spectrum, np.float64)
    if eigenvalues.ndim != 1 or not np.all(np.isfinite(eigenvalues)) or np.any(eigenvalues < 0):
        raise bad("spectrum", spectrum, "a list of finite numbers, none negative")
    if not np.any(eigenvalues > 0):
        raise bad("spectrum", spectrum, "a list with one or more positive numbers")
    init = Start(len(eigenvalues), start)
    return Problem(
        loss=jax.tree_util.Partial(_quadratic_loss, eigenvalues),
        init=init,
        name="quadratic",
        config={"spectrum": eigenvalues.tolist(), "start": init.start},
        minimum=0.0,
        pl_constant=2 * float(eigenvalues[eigenvalues > 0].min()),
        hessian=np.diag(eigenvalues),
    )


def _quadratic_loss(
    eigenvalues: Float[AnyArray, " size"], x: Float[AnyArray, " size"]
) -> Float[Array, ""]:
    return 0.5 * jnp.sum(eigenvalues * x**2)
