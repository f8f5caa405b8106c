"""The flow of sign gradient descent."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..ode.vector_field import VectorField
from .moments import Scalar, check_positive


def signgd_flow(eps: Scalar = 1e-8) -> VectorField:
    r"""The limit of Adam and RMSprop as η → 0 with decays α and β fixed: a smooth sign.

    $$\dot x = -\frac{\nabla f(x)}{|\nabla f(x)| + \epsilon}$$

    per coordinate; Ma, Wu and E (2021), section on fast initial convergence. As ε → 0 it becomes
    ẋ = −sign(∇f), whose loss is zero after a finite time where f is Polyak-Łojasiewicz
    (`phasejax.theory.signgd_bound`). A coordinate whose gradient is below ε goes to rest at the
    rate λ/ε, λ the curvature: the flow is stiff there, and implicit steps pass through.

    **Arguments:**

    - `eps`: ε, in units of the gradient, positive: at ε = 0 the field jumps at the minimum, and no
        solution that a step could follow stays there.
    """
    check_positive(eps=eps)

    def velocity(time: Scalar, grads: PyTree, state: PyTree) -> tuple[PyTree, PyTree]:
        del time, state
        return jax.tree.map(lambda g: -g / (jnp.abs(g) + eps), grads), ()

    return VectorField(lambda params: (), velocity)
