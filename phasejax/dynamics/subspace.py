"""Leading eigenvectors of a symmetric matrix that changes a little from step to step."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..probes.lanczos import fixed_direction, leading

DEPTH = 2
"""Powers of the matrix, from 0, that multiply the vectors of the step before.

A multiple eigenvalue, such as that of several directions at the edge, needs a vector for each copy:
Lanczos' method from one vector would find only one of them."""
MIXED = 0.01
"""Share of a fixed direction in the last vector: so a direction that becomes sharpest is found."""


class Leading(NamedTuple):
    """Largest eigenvalues in descending order.

    - `values`: `[count]`.
    - `vectors`: orthonormal, `[count, size]`.
    - `residuals`: 2-norm of Av − λv, `[count]`: an eigenvalue is at most this far from the value.
    """

    values: Float[Array, " count"]
    vectors: Float[Array, "count size"]
    residuals: Float[Array, " count"]


def first_vectors(count: int, size: int, dtype: jnp.dtype) -> Float[np.ndarray, "count size"]:
    """Orthonormal vectors from which the search begins, the same every time."""
    drawn = np.stack([fixed_direction(size, np.dtype("float64"), seed) for seed in range(count)])
    return np.linalg.qr(drawn.T)[0].T.astype(dtype)


def leading_eigenvectors(
    product: Callable[[Float[Array, " size"]], Float[Array, " size"]],
    vectors: Float[Array, "count size"],
) -> Leading:
    """Largest eigenvalues of A, from the Krylov space of `vectors`: V, AV.

    `product(x)` is Ax. As many vectors are found as given; they are the start of the next call. The
    last one is known to 1 % at best, because it looks for others.
    """
    count, size = vectors.shape
    several = jax.vmap(product)
    # Alone, the vectors would never leave a space that the matrix maps onto itself.
    vectors = vectors.at[-1].add(MIXED * fixed_direction(size, vectors.dtype, seed=count))
    block, basis, images = vectors, jnp.zeros((0, size), vectors.dtype), []
    for _ in range(min(DEPTH, -(-size // count))):
        block = _orthonormal(block, basis)
        basis = jnp.concatenate([basis, block])
        images.append(several(block))
        block = images[-1]
    image = jnp.concatenate(images)
    inner = basis @ image.T
    inner = (inner + inner.T) / 2
    # A vector that was already in the space is zero. It must not come before negative eigenvalues.
    bound = jnp.max(jnp.sum(jnp.abs(inner), axis=1))
    missing = jnp.where(jnp.sum(basis * basis, axis=1) > 0, 0, 2 * bound)
    values, inside = leading(inner - jnp.diag(missing), count, modulus=False)
    found = inside @ basis
    rest = inside @ image - values[:, None] * found
    return Leading(values, found, jnp.sqrt(jnp.sum(rest * rest, axis=1)))


def _orthonormal(
    block: Float[Array, "count size"], basis: Float[Array, "known size"]
) -> Float[Array, "count size"]:
    """Make vectors orthonormal, also to `basis`; a vector that depends on the others becomes 0."""
    known = len(basis)
    tiny = 64 * float(jnp.finfo(block.dtype).eps)
    done = jnp.concatenate([basis, jnp.zeros_like(block)])
    for place, vector in enumerate(block):
        rest = vector - (done @ vector) @ done
        rest = rest - (done @ rest) @ done
        length = jnp.sqrt(rest @ rest)
        usable = length > tiny * jnp.sqrt(vector @ vector)
        done = done.at[known + place].set(jnp.where(usable, rest / length, 0))
    return done[known:]
