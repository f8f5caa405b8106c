"""One step of Euler's method along a central flow: the mathematics, on flat vectors."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .complementarity import solve
from .slow_rule import SlowRule, Vector

Scalarfield = Callable[[Vector], Float[Array, ""]]
"""The loss as a function of a flat vector."""


class Rates(NamedTuple):
    """What Σ does to a quantity: its time derivative is `stable` + Σᵢⱼ `per_pair`ᵢⱼ Xᵢⱼ."""

    stable: PyTree
    per_pair: PyTree

    def total(self, covariance: Float[Array, "k k"]) -> PyTree:
        """Return the time derivative for a given X."""
        return jax.tree.map(
            lambda rate, pairs: rate + jnp.tensordot(covariance, pairs), self.stable, self.per_pair
        )


class Oscillation(NamedTuple):
    """Directions that may oscillate, which stay those of the start of a step.

    - `directions`: U, with UᵀPU = 1, `[k, size]`.
    - `slopes`: ∇(uᵢᵀ H uⱼ), `[k, k, size]`.
    """

    directions: Float[Array, "k size"]
    slopes: Float[Array, "k k size"]


def euler(
    rule: SlowRule,
    loss: Scalarfield,
    dt: float,
    oscillation: Oscillation,
    params: Vector,
    slow: PyTree,
    guess: Float[Array, "k k"],
) -> tuple[Vector, PyTree, Float[Array, "k k"]]:
    """Advance parameters and slow state by `dt`; returns them and X, for which `guess` is a start.

    With A = τP − H (τ is the threshold), UᵀAU at the end of the substep is, to first order,
    α + β[X]: X ⪰ 0, α + β[X] ⪰ 0 and ⟨X, α + β[X]⟩ = 0 (arXiv 2410.24206).
    """
    u, slopes = oscillation
    grads, product = jax.linearize(jax.grad(loss), params)
    p = rule.preconditioner(slow)
    hu = jax.vmap(product)(u)
    # Directions that oscillate are at the edge, Hu = τPu. Put so, β is symmetric and not negative.
    slow_rates = _slow_rates(rule, grads, slow, rule.threshold * p * u)
    # P is linearized at what the state becomes without Σ: from v = 0, √v is far from linear.
    ahead = jax.tree.map(lambda value, rate: value + dt * rate, slow, slow_rates.stable)
    # So is an average of gradients: with that of before, Euler's method oscillates by itself.
    params_rates = Rates(-rule.direction(grads, ahead) / p, -0.5 * slopes / p)
    h_rates = Rates(
        jnp.einsum("ijn,n->ij", slopes, params_rates.stable),
        jnp.einsum("ijn,abn->abij", slopes, params_rates.per_pair),
    )
    p_ahead, p_change = jax.linearize(rule.preconditioner, ahead)
    p_by_x = jax.vmap(jax.vmap(p_change))(slow_rates.per_pair)
    between = functools.partial(jnp.einsum, "in,jn,...n->...ij", u, u)
    curvature = (u @ hu.T + hu @ u.T) / 2
    alpha = rule.threshold * between(p_ahead) - curvature - dt * h_rates.stable
    by_x = rule.threshold * between(p_by_x) - h_rates.per_pair
    x = solve(alpha, dt * jnp.moveaxis(by_x, (0, 1), (2, 3)), guess) if len(u) else guess
    moved = jax.tree.map(
        lambda value, rate: value + dt * rate,
        (params, slow),
        (params_rates.total(x), slow_rates.total(x)),
    )
    return *moved, x


def _slow_rates(rule: SlowRule, grads: Vector, slow: PyTree, hu: Float[Array, "k size"]) -> Rates:
    """Rates of the slow state for gradients of covariance HU X UᵀH around the mean.

    To second order in the gradient, which is exact for second moments.
    """

    def velocity(grads: Vector) -> PyTree:
        return rule.velocity(grads, slow)

    def second(one: Vector, other: Vector) -> PyTree:
        def first(grads: Vector) -> PyTree:
            return jax.jvp(velocity, (grads,), (other,))[1]

        return jax.tree.map(lambda x: 0.5 * x, jax.jvp(first, (grads,), (one,))[1])

    return Rates(velocity(grads), jax.vmap(lambda x: jax.vmap(lambda y: second(x, y))(hu))(hu))


def curvature_slopes(
    loss: Scalarfield, params: Vector, u: Float[Array, "k size"]
) -> Float[Array, "k k size"]:
    """∇(uᵢᵀ H uⱼ) for all pairs, by the third derivative along uᵢ and uⱼ."""
    k = len(u)
    pairs = list(itertools.combinations_with_replacement(range(k), 2))
    if not pairs:
        return jnp.zeros((0, 0, params.size), params.dtype)
    place = np.zeros((k, k), int)
    for number, (i, j) in enumerate(pairs):
        place[i, j] = place[j, i] = number

    def slope(one: Vector, other: Vector) -> Vector:
        def along(x: Vector) -> Vector:
            return jax.jvp(jax.grad(loss), (x,), (other,))[1]

        return jax.jvp(along, (params,), (one,))[1]

    first, second = np.transpose(pairs)
    return jax.vmap(slope)(u[first], u[second])[place]
