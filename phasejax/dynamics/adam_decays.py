"""Adam and AdamW in δ = 1 − β₁ and γ = 1 − β₂."""

import optax
from jax.core import Tracer

from .._check import bad, non_negative, positive
from .._types import Scalar
from .adam import adam


def adam_decays(
    delta: Scalar,
    gamma: Scalar,
    learning_rate: optax.ScalarOrSchedule = 1e-3,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: Scalar = 0.0,
) -> optax.GradientTransformation:
    r"""Adam with m-decay β₁ = 1 − δ and v-decay β₂ = 1 − γ; AdamW if there is a `weight_decay`.

    $$v_t = (1-\gamma) v_{t-1} + \gamma g_t^2, \qquad m_t = (1-\delta) m_{t-1} + \delta g_t$$
    $$\theta_{t+1} = \theta_t - \eta \left(\frac{m_t / (1-\beta_1^t)}
        {\sqrt{v_t / (1-\beta_2^t) + \epsilon_\text{root}} + \epsilon} + w\, \theta_t\right)$$

    This is `optax.adamw(learning_rate, b1=1 - delta, b2=1 - gamma, eps, eps_root, weight_decay=w)`
    (Loshchilov and Hutter 2019; with w = 0, `optax.adam`), and `phasejax.adam` with γ = aη and
    δ = bη. Decays near 1, which differ by factors of 1 − β, are evenly spaced on logarithmic axes
    of δ and γ. δ and γ enter the averages as they are: no digits are lost in 1 − β, also in
    float32. What `phasejax.adam` does where squares overflow or ε = 0 holds here too.

    **Arguments:**

    - `delta`, `gamma`: 1 − β₁ and 1 − β₂, greater than 0 and at most 1.
    - `learning_rate`: η, a number or a schedule of optax.
    - `eps`, `eps_root`: ε outside and inside the root, not negative.
    - `weight_decay`: w, not negative.

    Each may be a traced JAX scalar; plain numbers are checked, with a `ValueError`.

    ```python
    decays = pj.log_axis(0.003, 0.5, 32)
    grid = pj.Grid(delta=decays, gamma=decays, learning_rate=1e-3)
    dataset = pj.sweep(pj.problems.digits(), pj.adam_decays, grid)
    ```
    """
    for name, value in (("delta", delta), ("gamma", gamma)):
        if not isinstance(value, Tracer) and not 0 < value <= 1:
            raise bad(name, value, "greater than 0 and at most 1, so that the decay is in [0, 1)")
    if not (isinstance(learning_rate, Tracer) or callable(learning_rate)):
        positive("learning_rate", float(learning_rate))
    parts = [adam(a=gamma, b=delta, learning_rate=1.0, eps=eps, eps_root=eps_root)]
    if not isinstance(weight_decay, Tracer):
        non_negative("weight_decay", float(weight_decay))
    if isinstance(weight_decay, Tracer) or weight_decay:
        parts.append(optax.add_decayed_weights(-weight_decay))  # adam's direction is negative
    return optax.chain(*parts, optax.scale_by_learning_rate(learning_rate, flip_sign=False))
