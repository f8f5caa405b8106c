"""Largest eigenvalues of a symmetric matrix that is known by its products with vectors."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SQUARINGS = 40
"""Squarings of a matrix: eigenvalues that differ by 1e-10 are told apart."""


class Eigenpairs(NamedTuple):
    """Estimates of eigenvalues, in descending order of what was asked for.

    - `values`: `[count]`.
    - `vectors`: unit vectors, `[count, size]`.
    - `residuals`: 2-norm of Av − λv, `[count]`: an eigenvalue is at most this far from the value.
    """

    values: Float[Array, " count"]
    vectors: Float[Array, "count size"]
    residuals: Float[Array, " count"]


def lanczos(
    product: Callable[[Float[Array, " size"]], Float[Array, " size"]],
    start: Float[Array, " size"],
    steps: int,
    count: int = 1,
    modulus: bool = False,
) -> Eigenpairs:
    """Largest eigenvalues, or those of largest modulus, from the Krylov space of `start`.

    Of all methods that multiply `steps` times from this start, none finds a larger Rayleigh
    quotient. Every vector is made orthogonal to all earlier ones twice, so that rounding adds no
    copies of eigenvalues. Where `start` lies in a smaller invariant space, as an eigenvector does,
    the search goes on from another fixed vector.
    """
    size = start.size
    steps = min(steps, size)
    tiny = float(jnp.finfo(start.dtype).eps)

    other = jnp.asarray(fixed_direction(size, start.dtype, seed=1))

    def step(place: Array, done: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, diagonal, beside = done
        image = product(basis[place])
        shares = basis @ image
        rest = image - shares @ basis
        length = jnp.sqrt(rest @ rest)
        known = jnp.maximum(jnp.max(jnp.abs(diagonal)), jnp.max(beside))
        goes_on = length > 64 * tiny * jnp.maximum(known, jnp.sqrt(image @ image))
        found = _unit(jnp.where(goes_on, rest, jnp.roll(other, place)))  # another one each time
        found = found - (basis @ found) @ basis
        left = jnp.sqrt(found @ found)
        return (
            basis.at[place + 1].set(_unit(found)),
            diagonal.at[place].set(shares[place]),
            beside.at[place].set(jnp.where(goes_on, length * left, 0)),
        )

    basis = jnp.zeros((steps + 1, size), start.dtype).at[0].set(start / jnp.sqrt(start @ start))
    numbers = jnp.zeros(steps, start.dtype)
    basis, diagonal, beside = jax.lax.fori_loop(0, steps, step, (basis, numbers, numbers))
    inner = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
    values, vectors = leading(inner, count, modulus)
    inside = vectors @ inner - values[:, None] * vectors
    outside = beside[-1] * vectors[:, -1]
    residuals = jnp.sqrt(jnp.sum(inside**2, axis=1) + outside**2)
    return Eigenpairs(values, vectors @ basis[:-1], residuals)


def leading(
    matrix: Float[Array, "side side"], count: int, modulus: bool
) -> tuple[Float[Array, " count"], Float[Array, "count side"]]:
    """Leading eigenvalues of a small symmetric matrix, and their unit vectors.

    A matrix without negative eigenvalues is squared until the leading vector is all that remains;
    then that is taken out of it. (LAPACK is not called: several devices of a CPU that call it for
    many cells at once can wait for each other for ever.)
    """
    eye = jnp.eye(len(matrix), dtype=matrix.dtype)
    bound = jnp.max(jnp.sum(jnp.abs(matrix), axis=1))
    # More than the bound, so that an eigenvalue of −bound has a vector too, and a zero matrix.
    shift = jnp.where(bound > 0, 1.01 * bound, 1)
    rest = matrix @ matrix if modulus else matrix + shift * eye
    values, vectors = [], []
    for _ in range(count):
        power = jax.lax.fori_loop(0, SQUARINGS, lambda _, x: _unit(x) @ _unit(x), rest)
        column = power[:, jnp.argmax(jnp.diagonal(power))]
        vector = _unit(column)
        values.append(vector @ matrix @ vector)
        vectors.append(vector)
        rest = rest - (vector @ rest @ vector) * jnp.outer(vector, vector)
    return jnp.stack(values), jnp.stack(vectors)


def _unit(x: Array) -> Array:
    """Divide by the 2-norm of all numbers; zeros stay zeros."""
    size = jnp.sqrt(jnp.sum(x * x))
    return x / jnp.where(size > 0, size, 1)


def fixed_direction(size: int, dtype: jnp.dtype, seed: int = 0) -> Float[np.ndarray, " size"]:
    """Unit vector with normal random components, the same every time."""
    vector = np.random.default_rng(seed).standard_normal(size)
    return (vector / np.sqrt(vector @ vector)).astype(dtype)
