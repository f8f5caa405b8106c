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
    ẋ = −sign(∇f), whose loss is zero after a finite time if f satisfies the Polyak-Łojasiewicz
    condition (`phasejax.theory.signgd_bound`). A coordinate whose gradient is below ε relaxes at
    the rate λ/ε, for the curvature λ: the flow is stiff there, and the solver needs implicit steps.

    **Arguments:**

    - `eps`: ε, in units of the gradient, positive: for ε = 0 the vector field is discontinuous at
        the minimum, and a solver cannot follow the solution that stays there.
    """
    check_positive(eps=eps)

    def velocity(time: Scalar, grads: PyTree, state: PyTree) -> tuple[PyTree, PyTree]:
        del time, state
        return jax.tree.map(lambda g: -g / (jnp.abs(g) + eps), grads), ()

    return VectorField(lambda params: (), velocity)
