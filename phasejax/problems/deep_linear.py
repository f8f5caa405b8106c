"""Matrix factorization by a deep linear network: the simplest non-convex network loss."""

from collections.abc import Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._check import bad, positive, whole
from .._types import AnyArray, Whole
from .problem import Problem


def deep_linear(
    depth: Whole = 3, spectrum: Sequence[float] = (1.0, 0.5), init_scale: float = 0.5
) -> Problem:
    """f(W₁ … W_L) = ½ |W_L ⋯ W₁ − diag(spectrum)|², square matrices of the spectrum's width.

    The minimum is 0, on a manifold of factorizations. For a depth of 2 or more the Hessian depends
    on the point of the manifold, and there is no global PL constant.

    **Arguments:**

    - `depth`: the number of factors L, one or more.
    - `spectrum`: the singular values of the target, finite numbers.
    - `init_scale`: the factors start with normal entries of standard deviation
        `init_scale` / √width.
    """
    target = np.diag(np.asarray(spectrum, np.float64))
    if target.ndim != 2 or not np.all(np.isfinite(target)):
        raise bad("spectrum", spectrum, "a list of finite numbers")
    depth = whole("depth", depth)
    positive("init_scale", init_scale)
    return Problem(
        loss=jax.tree_util.Partial(_deep_linear_loss, target),
        init=partial(_factors, depth=depth, width=len(target), scale=init_scale),
        name="deep_linear",
        config={
            "depth": depth,
            "spectrum": np.diag(target).tolist(),
            "init_scale": init_scale,
        },
        minimum=0.0,
        pl_constant=2.0 if depth == 1 else None,
        hessian=np.eye(target.size) if depth == 1 else None,
    )


def _factors(
    key: PRNGKeyArray, depth: int, width: int, scale: float
) -> list[Float[Array, "width width"]]:
    keys = jax.random.split(key, depth)
    return [scale / np.sqrt(width) * jax.random.normal(k, (width, width)) for k in keys]


def _deep_linear_loss(
    target: Float[AnyArray, "width width"], factors: list[Float[AnyArray, "width width"]]
) -> Float[Array, ""]:
    product = reduce(jnp.matmul, reversed(factors))
    return 0.5 * jnp.sum((product - target) ** 2)
