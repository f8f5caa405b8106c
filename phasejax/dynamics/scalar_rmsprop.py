"""RMSprop with one second moment for all parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from .moments import Scalar, average, check_decays, check_eps, kept, precondition


def scalar_rmsprop(
    a: Scalar, learning_rate: Scalar = 1e-3, eps: Scalar = 1e-8, eps_root: Scalar = 0.0
) -> optax.GradientTransformation:
    r"""RMSprop whose second moment is an average of the squared norm of the gradient.

    $$v_t = \alpha v_{t-1} + (1-\alpha) |g_t|^2, \qquad
        \theta_{t+1} = \theta_t - \eta \frac{g_t}{\sqrt{v_t + \epsilon_\text{root}} + \epsilon}$$

    with α = 1 − aη (η is `learning_rate`) and v₀ = 0: gradient descent whose step adapts, the
    simplest optimizer of that kind (Cohen et al., arXiv 2410.24206).

    **Arguments:** as in `phasejax.rmsprop`. Raises a `ValueError` for a decay outside [0, 1).

    ```python
    optimizer = phasejax.scalar_rmsprop(a=10.0, learning_rate=1e-3)
    ```
    """
    check_decays(learning_rate, a=a)
    check_eps(eps, eps_root)

    def init(params: optax.Params) -> Float[Array, ""]:
        return jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, Float[Array, ""]]:
        del params
        a_eta = jnp.minimum(a * learning_rate, 1.0)
        square = jnp.stack([jnp.sum(g * g) for g in jax.tree.leaves(updates)]).sum()
        v = average(state, square, a_eta)
        steps = jax.tree.map(lambda g: -learning_rate * precondition(g, v, eps, eps_root), updates)
        return steps, kept(v, a_eta)

    return optax.GradientTransformation(init, update)
