r"""Stability of gradient descent whose update is a linear filter of the gradients.

Update of every parameter: $u_t = \sum_k h_k g_{t-k}$, with $H(z) = \sum_k h_k z^{-k}$.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

ANGLES = 2048
"""Points on the upper half of the unit circle where a filter of several momenta is evaluated."""


class Filter(NamedTuple):
    """A filter with momenta x: x' = Ax + Bg, u = Cx + Dg + decay·θ, scaled so that H(1) = −1.

    `decay` is the derivative of the update by the parameter itself, as weight decay has it.
    """

    a: Float[Array, "momenta momenta"]
    b: Float[Array, " momenta"]
    c: Float[Array, " momenta"]
    d: Float[Array, ""]
    decay: Float[Array, ""]


def response(filtered: Filter, z: Complex[Array, " points"]) -> Complex[Array, " points"]:
    """H(z) = C(z − A)⁻¹B + D, by the coefficients of adj(z − A) and det(z − A).

    (Faddeev and LeVerrier's recursion; a solver of LAPACK could block, see `lanczos.leading`.)
    """
    a, b, c, d, _ = filtered
    eye = jnp.eye(len(b), dtype=d.dtype)
    adjugate, above, below = eye, jnp.zeros_like(z), jnp.ones_like(z)
    for k in range(1, len(b) + 1):
        above = above * z + c @ adjugate @ b
        coefficient = -jnp.trace(a @ adjugate) / k
        adjugate = a @ adjugate + coefficient * eye
        below = below * z + coefficient
    return d + above / below


def threshold(filtered: Filter) -> Float[Array, ""]:
    r"""Largest stable product of curvature and effective step.

    A parameter of curvature λ moves by z = 1 + decay + λH(z). So on the border of stability,
    λ = (z − 1 − decay)/H(z) for a z on the unit circle at which this is real and positive, and the
    smallest such λ counts (arXiv 2608.18415, Proposition 2.1). With H(1) = −1, this is 2 for
    gradient descent and RMSprop, and 2(1 + β)/(1 − β) for Adam. It is 0 if weight decay alone makes
    the parameter grow.
    """
    z = jnp.append(_crossings(filtered), -1 + 0j)
    curvature = (z - 1 - filtered.decay) / response(filtered, z)
    real = jnp.abs(jnp.imag(curvature)) <= 1e-3 * jnp.abs(curvature)
    allowed = real & (jnp.real(curvature) > 0)
    found = jnp.min(jnp.where(allowed, jnp.real(curvature), jnp.inf))
    pole = 1 + filtered.decay
    return jnp.where((jnp.abs(pole) > 1) | (pole <= -1), 0.0, found)


def _crossings(filtered: Filter) -> Complex[Array, " points"]:
    """Points of the upper half of the unit circle, ±1 excluded, where λ is real; nan if none."""
    a, b, c, d, decay = filtered
    pole = 1 + decay
    if len(b) == 0:
        return jnp.zeros(0, complex)
    if len(b) == 1:
        # Im((z − pole)(z − β)·conj(dz + rest)) = 0, divided by the sine of the angle.
        beta, rest = a[0, 0], c[0] * b[0] - d * a[0, 0]
        cosine = ((pole + beta) * rest + (pole * beta - 1) * d) / (2 * rest)
        return jnp.where(jnp.abs(cosine) < 1, jnp.exp(1j * jnp.arccos(cosine)), jnp.nan)[None]
    angles = jnp.geomspace(1e-5, jnp.pi, ANGLES)
    z = jnp.exp(1j * angles)
    imaginary = jnp.imag((z - pole) / response(filtered, z))
    crosses = imaginary[:-1] * imaginary[1:] < 0
    share = imaginary[:-1] / jnp.where(crosses, imaginary[:-1] - imaginary[1:], 1)
    between = angles[:-1] + share * jnp.diff(angles)
    return jnp.where(crosses, jnp.exp(1j * between), jnp.nan)


def gain(filtered: Filter) -> Float[Array, ""]:
    """H(1): the update in the long run per unit of a constant gradient."""
    return jnp.real(response(filtered, jnp.ones(1, complex)))[0]
