"""An optimizer as its central flow sees it, on flat vectors: the type, and the known rules."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .moments import Scalar, check_decays, check_eps, check_positive, non_negative_moment

Vector = Float[Array, " size"]
"""All parameters of a cell, or a gradient, as one array."""


class SlowRule(NamedTuple):
    """An optimizer whose update is −P⁻¹ times the gradient, or an average of it.

    All vectors are flat, `[size]`; time is in steps.

    - `init(grads)`: the state after the first gradient, a PyTree of arrays.
    - `velocity(grads, state)`: dstate/dt. A step that ends with the state s makes it from
        s − ds/dt, so an average with decay β has the rate (1 − β)/β (arXiv 2410.24206).
    - `preconditioner(state)`: the diagonal of P, which contains the learning rate.
    - `direction(grads, state)`: what is divided by P: the gradient, or its average.
    - `threshold`: largest stable eigenvalue of P⁻¹H, 2 without momentum.
    """

    init: Callable[[Vector], PyTree]
    velocity: Callable[[Vector, Any], PyTree]
    preconditioner: Callable[[Any], Vector]
    direction: Callable[[Vector, Any], Vector] = lambda grads, state: grads
    threshold: Scalar = 2.0


def slow_sgd(learning_rate: Scalar) -> SlowRule:
    """Gradient descent, `optax.sgd` without momentum: P = 1/η, and no state.

    The state is the size of a gradient, as zeros, because P needs it.
    """
    check_positive(learning_rate=learning_rate)

    def preconditioner(zeros: Vector) -> Vector:
        return zeros + 1 / learning_rate

    return SlowRule(jnp.zeros_like, lambda grads, zeros: zeros, preconditioner)


def slow_rmsprop(
    a: Scalar,
    learning_rate: Scalar = 1e-3,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> SlowRule:
    r"""`phasejax.rmsprop` without momentum: P = (√(v + ε_root) + ε)/η.

    $$\dot v = \frac{a\eta}{1 - a\eta} \left[g^2 + \mathrm{diag}(H \Sigma H) - v\right]$$

    (arXiv 2410.24206); a·η must be below 1.
    """
    return _slow_rmsprop(a, learning_rate, eps, eps_root, lambda grads: grads * grads)


def slow_scalar_rmsprop(
    a: Scalar,
    learning_rate: Scalar = 1e-3,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> SlowRule:
    """`phasejax.scalar_rmsprop`: v follows |g|² + tr(HΣH) (arXiv 2410.24206).

    The state has a copy of v for each parameter.
    """

    def squared_norm(grads: Vector) -> Vector:
        return jnp.full_like(grads, grads @ grads)

    return _slow_rmsprop(a, learning_rate, eps, eps_root, squared_norm)


def _slow_rmsprop(
    a: Scalar,
    learning_rate: Scalar,
    eps: Scalar,
    eps_root: Scalar,
    square: Callable[[Vector], Vector],
) -> SlowRule:
    check_decays(learning_rate, a=a)
    check_eps(eps, eps_root)
    new = a * learning_rate

    def velocity(grads: Vector, v: Vector) -> Vector:
        return new / (1 - new) * (square(grads) - v)

    def preconditioner(v: Vector) -> Vector:
        return (jnp.sqrt(non_negative_moment(v) + eps_root) + eps) / learning_rate

    return SlowRule(lambda grads: new * square(grads), velocity, preconditioner)


class SlowAdam(NamedTuple):
    """Moments, and the denominators of their bias corrections, one copy for each parameter."""

    m: Vector
    v: Vector
    m_weight: Vector
    v_weight: Vector


def slow_adam(
    a: Scalar,
    b: Scalar,
    learning_rate: Scalar = 1e-3,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> SlowRule:
    r"""`phasejax.adam`: a·η and b·η must be below 1. With β = 1 − bη and threshold τ,

    $$\dot w = -P^{-1}\left[m + \tfrac12 \nabla \langle H, \Sigma \rangle\right], \qquad
        \dot m = \frac{1-\beta}{\beta} (\nabla L - m), \qquad \tau = 2\,\frac{1+\beta}{1-\beta}$$

    and v as in RMSprop; P has the bias corrections of both moments. Not in arXiv 2410.24206.

    - Proven: with P frozen, a direction alternates in sign at τ (arXiv 2207.14484).
    - Derived, by averaging as there: the mean of m follows the mean gradient, that of v the mean
        square.
    - Guessed: the pull of the oscillation, ½∇⟨H, Σ⟩, acts without the delay of m. It is right if
        the flow changes little in 1/(1 − β) steps, and if not, oscillates where this flow does not.
    """
    check_decays(learning_rate, a=a, b=b)
    check_eps(eps, eps_root)
    new_m, new_v = b * learning_rate, a * learning_rate

    def init(grads: Vector) -> SlowAdam:
        ones = jnp.ones_like(grads)
        return SlowAdam(new_m * grads, new_v * grads * grads, new_m * ones, new_v * ones)

    def velocity(grads: Vector, state: SlowAdam) -> SlowAdam:
        m_rate, v_rate = new_m / (1 - new_m), new_v / (1 - new_v)
        return SlowAdam(
            m_rate * (grads - state.m),
            v_rate * (grads * grads - state.v),
            m_rate * (1 - state.m_weight),
            v_rate * (1 - state.v_weight),
        )

    def preconditioner(state: SlowAdam) -> Vector:
        v = non_negative_moment(state.v / state.v_weight)
        return state.m_weight * (jnp.sqrt(v + eps_root) + eps) / learning_rate

    threshold = 2 * (2 - new_m) / new_m
    return SlowRule(init, velocity, preconditioner, lambda grads, state: state.m, threshold)
