"""Adam in the paper's parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from .moments import (
    Scalar,
    average,
    check_decays,
    check_eps,
    corrected_weight,
    kept,
    power_of_two,
    precondition,
    zero_weight,
)


class AdamState(NamedTuple):
    """Moments, shaped like the parameters, and the denominators of their bias corrections, `()`."""

    m: PyTree[Float[Array, "..."]]
    v: PyTree[Float[Array, "..."]]
    m_weight: Float[Array, ""]
    v_weight: Float[Array, ""]


def adam(
    a: Scalar,
    b: Scalar,
    learning_rate: Scalar = 1e-3,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> optax.GradientTransformation:
    r"""Adam with v-decay α = 1 − aη and m-decay β = 1 − bη (η is `learning_rate`).

    $$v_t = \alpha v_{t-1} + (1-\alpha) g_t^2, \qquad m_t = \beta m_{t-1} + (1-\beta) g_t$$
    $$\theta_{t+1} = \theta_t - \eta \frac{m_t / (1-\beta^t)}
        {\sqrt{v_t / (1-\alpha^t) + \epsilon_\text{root}} + \epsilon}$$

    Ma, Wu and E (2021), the Adam update of section 1, has ε inside the root (`eps_root`); Kingma
    and Ba (2015) and optax have it outside (`eps`). In optax's names this is
    `optax.adam(learning_rate, b1=1 - b * learning_rate, b2=1 - a * learning_rate, eps, eps_root)`.
    The two agree up to rounding over the whole range of floating-point numbers, even where squares
    overflow, with two differences:

    - The denominators 1 − αᵗ and 1 − βᵗ are updated from step to step, as the running average of
      ones: w ← αw + (1 − α). This needs no power per step, and loses no digits where αᵗ ≈ 1.
      (If aη or bη is far below the machine epsilon, the moments are plain means; optax has 0/0.)
    - Where the denominator is zero (ε = 0 and v underflowed) the update is zero, not 0/0.

    **Arguments:**

    - `a`, `b`: inverse averaging times of v and m, in units of 1/(η steps), positive, with
        a·η ≤ 1 and b·η ≤ 1.
    - `learning_rate`: η, positive.
    - `eps`, `eps_root`: ε outside and inside the root, not negative.

    Each may be a traced JAX scalar; plain numbers are checked, with a `ValueError`.

    ```python
    optimizer = phasejax.adam(a=1.0, b=100.0, learning_rate=1e-3)
    state = optimizer.init(params)
    updates, state = optimizer.update(grads, state)
    params = optax.apply_updates(params, updates)
    ```
    """
    check_decays(learning_rate, a=a, b=b)
    check_eps(eps, eps_root)

    def init(params: optax.Params) -> AdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AdamState(zeros, zeros, zero_weight(params), zero_weight(params))

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        del params
        dtype = state.m_weight.dtype
        b_eta = corrected_weight(b * learning_rate, dtype)
        a_eta = corrected_weight(a * learning_rate, dtype)
        m = average(state.m, updates, b_eta)
        v = average(state.v, jax.tree.map(jnp.square, updates), a_eta)
        m_weight = average(state.m_weight, 1.0, b_eta)
        v_weight = average(state.v_weight, 1.0, a_eta)
        both = 1 / (m_weight * v_weight)  # one division instead of two
        # Multiply by the learning rate's power of two after the division: before, m may underflow.
        scale = power_of_two(learning_rate, v_weight)
        m_scale, v_scale = -(learning_rate / scale) * v_weight * both, m_weight * both
        steps = jax.tree.map(
            lambda m, v: precondition(m * m_scale, v * v_scale, eps, eps_root) * scale, m, v
        )
        return steps, AdamState(kept(m, b_eta), kept(v, a_eta), m_weight, v_weight)

    return optax.GradientTransformation(init, update)
