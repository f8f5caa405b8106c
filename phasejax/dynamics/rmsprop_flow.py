"""The continuous limit of RMSprop."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..ode.vector_field import VectorField
from .moments import (
    Scalar,
    check_eps,
    check_positive,
    non_negative_moment,
    precondition,
    relax,
    second_moment_tolerance,
)


def rmsprop_flow(a: Scalar, eps: Scalar = 1e-8, eps_root: Scalar = 0.0) -> VectorField:
    r"""The continuous limit of `phasejax.rmsprop` without momentum.

    $$\dot v = a(\nabla f^2 - v), \qquad
        \dot x = -\frac{\nabla f}{\sqrt{v + \epsilon_\text{root}} + \epsilon}$$

    from v(0) = 0; Ma, Wu and E (2021), section on small oscillations, with ε outside the root. At
    first x moves in proportion to √t, because v starts at zero. Once v has decayed, the flow is
    stiff: for the curvature λ, x relaxes at the rate λ/ε, and the solver needs implicit steps.

    **Arguments:** as in `phasejax.adam_flow`.
    """
    check_positive(a=a)
    check_eps(eps, eps_root)

    def init(params: PyTree) -> PyTree:
        return jax.tree.map(jnp.zeros_like, params)

    def velocity(time: Scalar, grads: PyTree, v: PyTree) -> tuple[PyTree, PyTree]:
        del time
        directions = jax.tree.map(
            lambda g, v: -precondition(g, non_negative_moment(v), eps, eps_root), grads, v
        )
        return directions, relax(v, jax.tree.map(jnp.square, grads), a)

    def tolerance(v: PyTree, rtol: Scalar, atol: Scalar) -> Scalar:
        del v
        return second_moment_tolerance(rtol, atol, eps, eps_root)

    return VectorField(init, velocity, tolerance)
