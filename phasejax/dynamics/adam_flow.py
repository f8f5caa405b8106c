"""The continuous limit of Adam."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..ode.vector_field import VectorField
from .moments import (
    Scalar,
    check_eps,
    check_positive,
    corrected,
    non_negative_moment,
    precondition,
    relax,
    second_moment_tolerance,
)


class AdamFlowState(NamedTuple):
    """Moments, shaped like the parameters."""

    m: PyTree[Float[Array, "..."]]
    v: PyTree[Float[Array, "..."]]


def adam_flow(a: Scalar, b: Scalar, eps: Scalar = 0.0, eps_root: Scalar = 1e-8) -> VectorField:
    r"""The continuous limit of `phasejax.adam`: η → 0 at fixed a and b, t = ηk after k steps.

    $$\dot v = a(\nabla f^2 - v), \qquad \dot m = b(\nabla f - m)$$
    $$\dot x = -\frac{(1-e^{-bt})^{-1}\, m}
        {\sqrt{(1-e^{-at})^{-1}\, v + \epsilon_\text{root}} + \epsilon}$$

    from v(0) = m(0) = 0; Ma, Wu and E (2021), section on continuous limits, with ε inside the root.
    At t = 0 both quotients are 0/0; their limits ∇f and ∇f² are used there.

    **Arguments:**

    - `a`, `b`: inverse averaging times of v and m, in units of 1/t, positive.
    - `eps`, `eps_root`: ε outside and inside the root, not negative. The smaller they are, the
        faster the flow oscillates once v has decayed: for the curvature λ its angular frequency is
        √(bλ/(√eps_root + eps)), and the solver's steps must be a fraction of the period.
    """
    check_positive(a=a, b=b)
    check_eps(eps, eps_root)

    def init(params: PyTree) -> AdamFlowState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AdamFlowState(zeros, zeros)

    def velocity(time: Scalar, grads: PyTree, state: Any) -> tuple[PyTree, AdamFlowState]:
        m_weight, v_weight = -jnp.expm1(-b * time), -jnp.expm1(-a * time)

        def direction(g, m, v):
            m = corrected(m, m_weight, g)
            v = corrected(v, v_weight, g * g)
            return -precondition(m, non_negative_moment(v), eps, eps_root)

        squares = jax.tree.map(jnp.square, grads)
        moments = AdamFlowState(relax(state.m, grads, b), relax(state.v, squares, a))
        return jax.tree.map(direction, grads, state.m, state.v), moments

    def tolerance(state: Any, rtol: Scalar, atol: Scalar) -> AdamFlowState:
        del state
        return AdamFlowState(atol, second_moment_tolerance(rtol, atol, eps, eps_root))

    return VectorField(init, velocity, tolerance)
