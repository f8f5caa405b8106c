"""The complementarity problem whose solution is the covariance of an oscillation."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

ITERATIONS = 100
"""Most iterations of ADMM for more than one direction; each reduces the error by some factor."""
STILL = 0.75
"""Power of the dtype's epsilon that ends them: a smaller relative change of an iteration."""
SWEEPS = 6
"""Sweeps of Jacobi's method over all pairs; for two directions, the first one is exact."""
SINGULAR = 1e-9
"""What is added to a β that may be singular, relative to its mean eigenvalue."""
OVER_RELAXATION = 1.6
"""Over-relaxation of ADMM; 1.5 to 1.8 are usual."""


def solve(
    alpha: Float[Array, "k k"],
    beta: Float[Array, "k k k k"],
    start: Float[Array, "k k"],
) -> Float[Array, "k k"]:
    """Find X with 0 ⪯ X ⟂ α + β[X] ⪰ 0, that is X ⪰ 0 of least ½⟨X, β[X]⟩ + ⟨α, X⟩.

    α is symmetric, and β a symmetric linear map of symmetric matrices that is not negative.
    For k = 1, X = max(0, −α/β); for more, iterations of ADMM (Boyd et al. 2011) from `start`, a
    guess. X is zero where α has no negative eigenvalue. It is infinite or nan where
    no X exists: nothing that the oscillation does makes the direction stable.

    ```python
    solve(jnp.array([[-1.0]]), jnp.array([[[[2.0]]]]), jnp.zeros((1, 1)))  # [[0.5]]
    ```
    """
    side = len(alpha)
    if side == 1:
        return jnp.where(alpha < 0, -alpha / beta[:, :, 0, 0], 0)
    # X = SYS with diagonal S, so that each direction's own coefficient of β becomes 1.
    own = jnp.einsum("iiii->i", beta)
    s = jnp.where(own > 0, own, 1) ** -0.25
    outer = jnp.outer(s, s)
    pairs = _pairs(side, alpha.dtype)
    scaled = jnp.einsum("pij,ij,ijab,ab,qab->pq", pairs, outer, beta, outer, pairs)
    linear = jnp.einsum("pij,ij->p", pairs, outer * alpha)
    guess = jnp.einsum("pij,ij->p", pairs, start / outer)
    stable = jnp.min(_eigen(alpha)[0]) >= 0
    y = _admm(_Quadratic(linear, (scaled + scaled.T) / 2), pairs, guess, stable)
    return jnp.where(stable, 0, outer * y)


class _Quadratic(NamedTuple):
    """Coefficients of ½⟨x, βx⟩ + ⟨α, x⟩ on symmetric matrices as vectors, `[numbers]`."""

    alpha: Float[Array, " numbers"]
    beta: Float[Array, "numbers numbers"]


def _pairs(side: int, dtype: jnp.dtype) -> Float[Array, "numbers k k"]:
    """Orthonormal basis of the symmetric matrices."""
    found = []
    for i, j in itertools.combinations_with_replacement(range(side), 2):
        one = np.zeros((side, side))
        one[i, j] = one[j, i] = 1 if i == j else np.sqrt(0.5)
        found.append(one)
    return jnp.asarray(np.stack(found), dtype)


def _admm(
    quadratic: _Quadratic,
    pairs: Float[Array, "numbers k k"],
    start: Float[Array, " numbers"],
    done: Bool[Array, ""],
) -> Float[Array, "k k"]:
    """Alternate the quadratic's minimum near z, and the nearest z ⪰ 0, unless `done` already."""
    alpha, beta = quadratic
    size, eye = len(alpha), jnp.eye(len(alpha), dtype=alpha.dtype)
    mean = jnp.trace(beta) / size
    small = size / jnp.trace(_inverse(beta + SINGULAR * mean * eye))
    weight = jnp.sqrt(mean * small)
    inverse = _inverse(beta + weight * eye)
    still = float(jnp.finfo(alpha.dtype).eps) ** STILL

    def turn(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        count, _, z, dual = carry
        x = inverse @ (weight * (z - dual) - alpha)
        relaxed = OVER_RELAXATION * x + (1 - OVER_RELAXATION) * z
        near = positive_part(jnp.einsum("p,pij->ij", relaxed + dual, pairs))
        found = jnp.einsum("pij,ij->p", pairs, near)
        moved, missed = found - z, relaxed - found
        scale = jnp.sum(found * found) + jnp.sum(dual * dual)
        moving = jnp.sum(moved * moved) + jnp.sum(missed * missed) > still**2 * scale
        return count + 1, moving, found, dual + missed

    def going(carry: tuple[Array, Array, Array, Array]) -> Bool[Array, ""]:
        return carry[1] & (carry[0] < ITERATIONS)

    slope = (alpha + beta @ start) / weight  # the dual of a start that is the solution
    first = jnp.zeros((), jnp.int32), ~done, start, -slope
    return jnp.einsum("p,pij->ij", jax.lax.while_loop(going, turn, first)[2], pairs)


def positive_part(matrix: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Return the positive semidefinite matrix that is nearest to a symmetric one."""
    values, vectors = _eigen((matrix + matrix.T) / 2)
    return (vectors * jnp.maximum(values, 0)) @ vectors.T


def _eigen(matrix: Float[Array, "k k"]) -> tuple[Float[Array, " k"], Float[Array, "k k"]]:
    """Eigenvalues, and eigenvectors as columns, by Jacobi's rotations.

    (LAPACK is not called in a compiled program, see `probes.lanczos.leading`.)
    """
    side = len(matrix)

    def rotate(both: tuple[Array, Array], p: int, q: int) -> tuple[Array, Array]:
        matrix, vectors = both
        gap = matrix[q, q] - matrix[p, p]
        side_of = jnp.where(gap < 0, -1, 1)  # the smaller of two angles, by which it converges
        angle = 0.5 * jnp.arctan2(2 * side_of * matrix[p, q], jnp.abs(gap))
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        turn = jnp.eye(side, dtype=matrix.dtype)
        turn = turn.at[p, p].set(cosine).at[q, q].set(cosine)
        turn = turn.at[p, q].set(sine).at[q, p].set(-sine)
        return turn.T @ matrix @ turn, vectors @ turn

    def sweep(_: Any, both: tuple[Array, Array]) -> tuple[Array, Array]:
        for p, q in itertools.combinations(range(side), 2):
            both = rotate(both, p, q)
        return both

    start = matrix, jnp.eye(side, dtype=matrix.dtype)
    matrix, vectors = jax.lax.fori_loop(0, SWEEPS if side > 2 else 1, sweep, start)
    return jnp.diagonal(matrix), vectors


def _inverse(matrix: Float[Array, "side side"]) -> Float[Array, "side side"]:
    """Inverse of a small positive definite matrix, by Gauss and Jordan's elimination."""
    side = len(matrix)

    def eliminate(place: Array, both: Array) -> Array:
        row = both[place] / both[place, place]
        return (both - jnp.outer(both[:, place], row)).at[place].set(row)

    both = jnp.concatenate([matrix, jnp.eye(side, dtype=matrix.dtype)], axis=1)
    return jax.lax.fori_loop(0, side, eliminate, both)[:, side:]
