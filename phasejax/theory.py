r"""Results of theory: bounds, cycles, thresholds and borders between regimes.

The functions take numbers or NumPy arrays, which broadcast, except where a docstring says
otherwise. "Ma, Wu and E" is A Qualitative Study of the Dynamic Behavior of Adaptive Gradient
Algorithms, MSML 2021.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float
from numpy.typing import ArrayLike

from ._check import bad, choice
from ._precision import precision

Numbers = np.ndarray | np.floating
"""A number for numbers, an array for arrays."""

RETURNS = 1e-6
"""A cycle returns to its points to within this share of its largest number."""
REAL = 1e-6
"""A multiplier is real if its imaginary part is at most this share of its modulus."""

SPIKES_SQUARED_LOSS = 12.0
"""b/a above which Adam spikes on two digits with squared loss: γ < δ/12. Empirical: the main
diagram of this project, for a of 10 and more at η = 1e-3."""
SPIKES_CROSS_ENTROPY = 1 / 3.7
"""b/a above which AdamW spikes on networks with cross-entropy: γ < 3.7 δ. Empirical: arXiv
2609.18314 has 3.5 to 3.7 in place of 3.7 on its networks."""


def signgd_extinction_time(initial_loss: ArrayLike, pl_constant: ArrayLike) -> Numbers:
    r"""Time after which the loss of the signGD flow ẋ = −sign(∇f) is zero: 2√f₀/√μ.

    Ma, Wu and E (2021), theorem of the section on signGD. μ is `pl_constant`, with |∇f|² ≥ μ f; the
    minimum of f is zero.
    """
    _positive("pl_constant", pl_constant)
    return 2 * np.sqrt(np.asarray(initial_loss) / np.asarray(pl_constant))


def signgd_bound(initial_loss: ArrayLike, pl_constant: ArrayLike, time: ArrayLike) -> Numbers:
    r"""Bound on the loss of the signGD flow: (√f₀ − √μ t/2)², and zero after the extinction time.

    Ma, Wu and E (2021), theorem of the section on signGD. It is sharp on x²/2, where μ = 2.
    """
    left = 1 - np.asarray(time) / signgd_extinction_time(initial_loss, pl_constant)
    return np.asarray(initial_loss) * np.maximum(left, 0) ** 2


def rmsprop_cycle_multipliers(alpha: float) -> Complex[np.ndarray, "2"]:
    r"""Eigenvalues of the twice-iterated map of RMSprop on x²/2 at its 2-cycle x = ±η/2, v = η²/4.

    With v' = αv + (1 − α)x² and x' = x − ηx/√v' (ε = 0; Ma, Wu and E (2021), section on small
    oscillations), one step from the side s = ±1 has the Jacobian, in (x, v),

    $$J_s = \begin{pmatrix} 1 - 2\alpha & 2 s \alpha/\eta \\
        s (1-\alpha) \eta & \alpha \end{pmatrix}, \qquad \det J_s = -\alpha .$$

    J₋J₊ has determinant α² and trace 1 − 8α + 9α². Between α = 1/9 and 1 its eigenvalues are
    complex, so their modulus is exactly α: the cycle attracts, by a factor √α per step. Below 1/9
    they are real, and the larger one goes to 1 as α goes to 0, where every ±c is a cycle.

    `alpha` is one number between 0 and 1; other values raise a `ValueError`.
    """
    if not 0 < alpha < 1:
        raise bad("alpha", alpha, "between 0 and 1")
    trace, determinant = 1 - 8 * alpha + 9 * alpha**2, alpha**2
    return np.roots([1, -trace, determinant]).astype(complex)


def floquet_multipliers(
    step: Callable[[Any], Any], cycle: ArrayLike
) -> Complex[np.ndarray, " size"]:
    r"""Eigenvalues of the product of the Jacobians of a map along a cycle, in float64.

    **Arguments:**

    - `step`: the map, a function of an array that JAX can differentiate, such as one step of an
        optimizer on parameters and state in one array.
    - `cycle`: the points z₁, ..., z_p, `[period, ...]`, with z₂ = F(z₁), ..., z₁ = F(z_p).

    Returns the eigenvalues of J(z_p) ⋯ J(z₁), `[size]`, in no order. The cycle attracts if all are
    inside the unit circle: then a distance shrinks by the largest modulus in p steps. Raises a
    `ValueError` if the points are not mapped to each other, to within 1e-6 of the largest number.

    ```python
    step = lambda x: x - 0.1 * x**3  # gradient descent on x⁴/4
    theory.floquet_multipliers(step, [20**0.5, -(20**0.5)])  # 25
    ```
    """
    points = np.asarray(cycle, np.float64)
    size = points[0].size
    product = np.eye(size)
    with precision("float64"):
        for place, point in enumerate(points):
            following = points[(place + 1) % len(points)]
            gap = np.abs(np.asarray(step(jnp.asarray(point))) - following).max()
            if not gap <= RETURNS * np.abs(points).max():
                raise bad(f"cycle[{place}]", point, "mapped to the next point by step")
            product = np.reshape(jax.jacfwd(step)(jnp.asarray(point)), (size, size)) @ product
    return np.linalg.eigvals(product).astype(complex)


def way_out(multipliers: ArrayLike) -> str:
    """Say how a cycle is lost when its multiplier of largest modulus leaves the unit circle.

    - "flip": a negative number, at −1: a cycle of twice the period takes over.
    - "fold or pitchfork": a positive number, at +1: two cycles merge and vanish, or on an
      even loss, a cycle loses its symmetry.
    - "Neimark-Sacker": a complex pair of modulus 1: the orbit becomes quasi-periodic.

    Y. A. Kuznetsov, Elements of Applied Bifurcation Theory, sections 4.1 to 4.7.
    """
    values = np.atleast_1d(np.asarray(multipliers, complex))
    outermost = values[np.abs(values).argmax()]
    if abs(outermost.imag) > REAL * abs(outermost):
        return "Neimark-Sacker"
    return "flip" if outermost.real < 0 else "fold or pitchfork"


def rmsprop_flow_jacobian(
    hessian: Float[np.ndarray, "size size"], a: float, eps: float
) -> Float[np.ndarray, "2*size 2*size"]:
    r"""Jacobian of the RMSprop flow at a minimum x* with v = 0, in (x, v).

    v̇ = a(∇f² − v) and ẋ = −∇f/(√v + ε) linearize to the blocks −∇²f/ε and −aI (Ma, Wu and E
    (2021), section on linearization). x and v do not couple: √v has no derivative at v = 0, but
    its factor ∇f is zero there.
    """
    _positive("eps", eps)
    size = len(hessian)
    zero = np.zeros((size, size))
    return np.block([[-hessian / eps, zero], [zero, -a * np.eye(size)]])


def rmsprop_largest_curvature(learning_rate: ArrayLike, eps: ArrayLike) -> Numbers:
    r"""Largest curvature for which the discrete steps follow the linearized flow: λ < 2ε/η.

    Euler's method with step η on ẋ = −λx/ε contracts only if ηλ/ε < 2. With the usual ε, the
    curvature of a network is far larger: RMSprop then cannot come to rest, and oscillates instead.
    """
    _positive("learning_rate", learning_rate)
    return 2 * np.asarray(eps) / np.asarray(learning_rate)


def sharpness_threshold(momentum: str, beta: ArrayLike, learning_rate: ArrayLike) -> Numbers:
    r"""Largest stable sharpness of gradient descent with momentum.

    With gradient g, momentum m and decay β, a step is θ ← θ − ηu. The sharpness S, the largest
    eigenvalue of the Hessian, or of the preconditioned Hessian if the preconditioner is frozen, is
    stable below

    | `momentum` | m and u | ηS |
    | --- | --- | --- |
    | `"none"` | u = g; β is ignored | 2 |
    | `"ema"` | m ← βm + (1 − β)g, u = m (Adam) | 2(1 + β)/(1 − β) |
    | `"heavy_ball"` | m ← βm + g, u = m | 2(1 + β) |
    | `"nesterov"` | m ← βm + g, u = βm + g | 2(1 + β)/(1 + 2β) |
    | `"ema_nesterov"` | m as for ema, u = βm + (1 − β)g (NAdam) | 2(1 + β)/((1 − β)(1 + 2β)) |

    There an eigenvalue of the step passes −1: ηS = 2/Q(−1), where Q(z) is the transfer function
    from g to u (arXiv 2608.18415; the row of Adam is in arXiv 2207.14484). Bias corrections and
    weight decay are left out.
    """
    _positive("learning_rate", learning_rate)
    _decay("beta", beta)
    decay = np.asarray(beta, float)
    at_minus_one = {  # (1 + β) Q(−1)
        "none": 1 + decay,
        "ema": 1 - decay,
        "heavy_ball": np.ones_like(decay),
        "nesterov": 1 + 2 * decay,
        "ema_nesterov": (1 - decay) * (1 + 2 * decay),
    }
    choice("momentum", momentum, at_minus_one)
    return 2 * (1 + decay) / at_minus_one[momentum] / np.asarray(learning_rate)


def adam_largest_curvature(learning_rate: ArrayLike, b1: ArrayLike) -> Numbers:
    r"""Largest stable eigenvalue of Adam's preconditioned Hessian: (2/η)(1 + β)/(1 − β).

    Cohen et al., Adaptive Gradient Methods at the Edge of Stability (arXiv 2207.14484): Adam with a
    frozen preconditioner is gradient descent with momentum β = `b1`, the row "ema" of
    `sharpness_threshold`. In a and b, β = 1 − bη.
    """
    _decay("b1", b1)
    return sharpness_threshold("ema", b1, learning_rate)


def adam_border(
    curvature: ArrayLike, learning_rate: ArrayLike, eps_root: ArrayLike, eps: ArrayLike = 0.0
) -> Numbers:
    r"""Largest b for which Adam at rest is stable: b = 4/(η(2 + ηλ/(√ε_root + ε))).

    Near a minimum of curvature λ, v goes to zero and the preconditioned curvature to
    λ/(√ε_root + ε). This is `adam_largest_curvature` solved for b, with β = 1 − bη. The flow is
    stable for every b: the finite step causes the oscillations and spikes above this line.
    """
    _positive("learning_rate", learning_rate)
    preconditioned = np.asarray(curvature) / (np.sqrt(eps_root) + np.asarray(eps))
    eta = np.asarray(learning_rate)
    return 4 / (eta * (2 + eta * preconditioned))


def rmsprop_descent_depth(alpha: ArrayLike) -> Numbers:
    r"""Decades by which x falls below η in RMSprop on x²/2, before it reaches its 2-cycle.

    With ε = 0 and x far below η, v only decays, and a step multiplies x by 1 − η/√v. While √v
    decays from √v ≫ η to √v = η/2, where |x| begins to grow, s = η/√v goes from 0 to 2 by a factor
    of α^(−1/2) per step, so that

    $$\ln \frac{|x|}{\eta} \approx \frac{2}{-\ln\alpha} \int_0^2 \ln|1-s| \frac{ds}{s}
        = -\frac{\pi^2}{2(-\ln\alpha)} .$$

    For α > 0.993 this is more than 305 decades: with η = 1e-3 the iterate falls below the smallest
    floating-point number, becomes exactly zero, and never reaches the cycle.
    """
    if np.any((np.asarray(alpha) <= 0) | (np.asarray(alpha) >= 1)):
        raise bad("alpha", alpha, "between 0 and 1")
    return np.pi**2 / (2 * -np.log(alpha) * np.log(10))


def power_border(a: ArrayLike, k: float) -> Numbers:
    r"""Border of convergence of Adam on |x|ᵏ/k with ε = 0 and small η: b = a·k/(2(k − 2)).

    Above it the self-similar solution of the flow, v ∝ e^(−at), x ∝ e^(−at/(2(k−2))), attracts;
    below it bursts end the descent. Status: derived, by linearization around that solution; the
    derivation is in docs/theory.md (cf. arXiv 2603.09581). For steps of any length the border is
    `power_decay_border`, of which this is the limit for small η.
    """
    _exponent(k)
    return np.asarray(a) * k / (2 * (k - 2))


def power_decay_border(delta: ArrayLike, k: float) -> Numbers:
    r"""Border of convergence of Adam's steps on |x|ᵏ/k with ε = 0: β₂ = β₁^(2(k−2)/k).

    Takes δ = 1 − β₁ and returns γ = 1 − β₂. Below it, at larger β₂, the self-similar solution
    attracts. Status: derived here, by linearization; arXiv 2609.18314 states the same border.
    The learning rate does not enter: it is the scale of x. To first order in δ = bη and γ = aη this
    is γ = 2(k − 2)δ/k, `power_border`.

    Derivation: while v only decays, √v is multiplied by √β₂ per step. Let x be multiplied by r,
    hence the gradient and m by r^(k−1), and x' = x − ηm'/√v' needs r = r^(k−1)/√β₂, so that
    r^(k−2) = √β₂. Multiply x by 1 + ξ and m by 1 + μ, with p = β₁/r^(k−1), which must be below 1,
    and c = 1/r − 1. To first order

    $$\mu' = p\mu + (1-p)(k-1)\xi, \qquad \xi' = \xi/r - c\mu' .$$

    The determinant of this map is p/r. It contracts if p < r, that is β₁ < rᵏ = β₂^(k/(2(k−2))),
    and if no eigenvalue passes +1, which needs c(1 − p)(k − 2) > 0 and always holds, or −1, which
    needs (1 + p)(1 + r) > (1 − r)(1 − p)(k − 1). On the border, where p = r, this holds for
    β₁ > ((√(k−1) − 1)/(√(k−1) + 1))ᵏ, which is 0.005 for k = 4 and 0.003 for k = 6.

    **Arguments:** `delta`: greater than 0 and at most 1; `k`: greater than 2. Other values raise a
    `ValueError`.
    """
    _exponent(k)
    _step_decay("delta", delta)
    with np.errstate(divide="ignore"):  # δ = 1 is β₁ = 0
        return -np.expm1(2 * (k - 2) / k * np.log1p(-np.asarray(delta, float)))


def power_spike_line(delta: ArrayLike, k: float) -> Numbers:
    """Line below which Adam spikes on |x|ᵏ/k with ε = 0: γ = C_L δ, C_L = 12(k − 2)/(3k − 4).

    Takes δ = 1 − β₁ and returns γ = 1 − β₂. With `power_decay_border` as the other side, spikes
    fill a wedge; above this line Adam oscillates. Status: empirical, a fit of arXiv 2609.18314.
    """
    _exponent(k)
    _step_decay("delta", delta)
    return 12 * (k - 2) / (3 * k - 4) * np.asarray(delta, float)


def quadratic_wall(delta: ArrayLike) -> Numbers:
    """Line below which Adam spikes on a quadratic: γ = 15.6 δ^3.07.

    Takes δ = 1 − β₁ and returns γ = 1 − β₂. Unlike the lines of powers it is no line through the
    origin of a and b, where it moves with η. Status: empirical, a fit of arXiv 2609.18314.
    """
    _step_decay("delta", delta)
    return 15.6 * np.asarray(delta, float) ** 3.07


def _exponent(k: float) -> None:
    if not k > 2:
        raise bad("k", k, "greater than 2")


def _step_decay(name: str, values: ArrayLike) -> None:
    if not np.all((np.asarray(values) > 0) & (np.asarray(values) <= 1)):
        raise bad(name, values, "greater than 0 and at most 1")


def _positive(name: str, values: ArrayLike) -> None:
    if not np.all(np.asarray(values) > 0):
        raise bad(name, values, "greater than 0")


def _decay(name: str, values: ArrayLike) -> None:
    if not np.all((np.asarray(values) >= 0) & (np.asarray(values) < 1)):
        raise bad(name, values, "at least 0 and less than 1")
