r"""Results of theory: bounds, cycles, thresholds and borders between regimes.

The functions take numbers or NumPy arrays, which broadcast, except where a docstring says
otherwise. "Ma, Wu and E" is A Qualitative Study of the Dynamic Behavior of Adaptive Gradient
Algorithms, MSML 2021.
"""

import numpy as np
from jaxtyping import Complex, Float
from numpy.typing import ArrayLike

from ._check import bad

Numbers = np.ndarray | np.floating
"""A number for numbers, an array for arrays."""


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


def adam_largest_curvature(learning_rate: ArrayLike, b1: ArrayLike) -> Numbers:
    r"""Largest stable eigenvalue of Adam's preconditioned Hessian: (2/η)(1 + β)/(1 − β).

    Cohen et al., Adaptive Gradient Methods at the Edge of Stability (arXiv 2207.14484): Adam with a
    frozen preconditioner is gradient descent with momentum β = `b1`. In a and b, β = 1 − bη.
    """
    _positive("learning_rate", learning_rate)
    beta = np.asarray(b1)
    if np.any((beta < 0) | (beta >= 1)):
        raise bad("b1", b1, "at least 0 and less than 1")
    return 2 / np.asarray(learning_rate) * (1 + beta) / (1 - beta)


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
    r"""Border of convergence of Adam on |x|ᵏ/k with ε = 0: b = a·k/(2(k − 2)).

    Above it the self-similar solution of the flow, v ∝ e^(−at), x ∝ e^(−at/(2(k−2))), attracts;
    below it bursts end the descent. The derivation is in docs/theory.md (cf. arXiv 2603.09581).
    """
    if not k > 2:
        raise bad("k", k, "greater than 2")
    return np.asarray(a) * k / (2 * (k - 2))


def _positive(name: str, values: ArrayLike) -> None:
    if not np.all(np.asarray(values) > 0):
        raise bad(name, values, "greater than 0")
