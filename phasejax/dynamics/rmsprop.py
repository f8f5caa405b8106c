"""RMSprop in the paper's parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from .moments import Scalar, average, check_decays, check_eps, kept, precondition


class RMSpropState(NamedTuple):
    """Second moment, and momentum (`()` without `b`), both shaped like the parameters."""

    v: PyTree[Float[Array, "..."]]
    momentum: PyTree[Float[Array, "..."]]


def rmsprop(
    a: Scalar,
    b: Scalar | None = None,
    learning_rate: Scalar = 1e-3,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> optax.GradientTransformation:
    r"""RMSprop with v-decay α = 1 − aη (η is `learning_rate`) and no bias correction.

    $$v_t = \alpha v_{t-1} + (1-\alpha) g_t^2, \qquad
        \theta_{t+1} = \theta_t - \eta \frac{g_t}{\sqrt{v_t + \epsilon_\text{root}} + \epsilon}$$

    Ma, Wu and E (2021), the RMSprop update of section 1, has ε inside the root (`eps_root`). With
    `b`, the quotient is averaged with decay β = 1 − bη before it is applied. (Adam averages the
    gradient instead, before the division.)

    In optax's names this is `optax.rmsprop(learning_rate, decay=1 - a * learning_rate, eps=eps,
    eps_in_sqrt=False)`, or the same with `eps=eps_root, eps_in_sqrt=True`. With `b`, the first
    argument is `learning_rate * b * learning_rate`, and `momentum=1 - b * learning_rate` is added.

    **Arguments:** as in `phasejax.adam`; without `b` there is no momentum, as with b·η = 1.
    """
    check_decays(learning_rate, a=a, **({} if b is None else {"b": b}))
    check_eps(eps, eps_root)

    def init(params: optax.Params) -> RMSpropState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return RMSpropState(zeros, () if b is None else zeros)

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, RMSpropState]:
        del params
        a_eta = jnp.minimum(a * learning_rate, 1.0)  # above 1 by rounding, it would make v negative
        v = average(state.v, jax.tree.map(jnp.square, updates), a_eta)
        direction = jax.tree.map(lambda g, v: precondition(g, v, eps, eps_root), updates, v)
        momentum = ()
        if b is not None:
            b_eta = jnp.minimum(b * learning_rate, 1.0)
            direction = average(state.momentum, direction, b_eta)
            momentum = kept(direction, b_eta)
        steps = jax.tree.map(lambda d: -learning_rate * d, direction)
        return steps, RMSpropState(kept(v, a_eta), momentum)

    return optax.GradientTransformation(init, update)
