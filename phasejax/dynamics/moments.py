"""Functions that Adam, RMSprop and their flows share: averages, preconditioner, checks."""

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, PyTree

from .._check import bad, non_negative, positive
from .._types import Scalar


def average(old: PyTree, new: PyTree, weight: Scalar) -> PyTree:
    """One step of an exponential moving average: (1 − weight)·old + weight·new."""
    return jax.tree.map(lambda old, new: old + weight * (new - old), old, new)


def kept(average: PyTree, weight: Scalar) -> PyTree:
    """Return an average as the next step needs it: zero if `weight` is 1.

    The next step then replaces the average; subtracting the old value would leave its rounding.
    """
    return jax.tree.map(lambda x: jnp.where(weight < 1, x, 0), average)


def corrected_weight(weight: Scalar, dtype: jnp.dtype) -> Float[Array, ""]:
    """Clip the weight of a bias-corrected average to the range in which its arithmetic is valid.

    - At most 1: a·η can exceed 1 by its rounding, which would make v negative.
    - At least eps²/4096: the product of two such weights, and its inverse, are finite. Clipping
      changes a corrected average after t steps by a relative t·weight / 2, which is less than its
      rounding for t below 1e9.
    """
    return jnp.clip(weight, float(jnp.finfo(dtype).eps) ** 2 / 4096, 1.0)


def power_of_two(x: Scalar, like: Float[Array, ""]) -> Float[Array, ""]:
    """Return the largest power of two up to x > 0, in the dtype of x · `like`."""
    x = jax.lax.stop_gradient(jnp.asarray(x, jnp.result_type(x, like)))
    _, exponent = jnp.frexp(x)
    return jnp.maximum(jnp.ldexp(jnp.full_like(x, 0.5), exponent), jnp.finfo(x.dtype).tiny)


def relax(moment: PyTree, target: PyTree, rate: Scalar) -> PyTree:
    """Velocity of an exponential moving average: rate · (target − moment)."""
    return jax.tree.map(lambda moment, target: rate * (target - moment), moment, target)


def corrected(
    moment: Float[Array, "..."], weight: Float[Array, ""], limit: Float[Array, "..."]
) -> Float[Array, "..."]:
    """moment / weight, or `limit` where the weight is zero, at t = 0."""
    return jnp.where(weight > 0, moment / jnp.where(weight > 0, weight, 1), limit)


def zero_weight(params: optax.Params) -> Float[Array, ""]:
    """Return the initial denominator of a bias correction: zero, in the parameters' dtype."""
    return jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))


def precondition(
    m: Float[Array, "..."], v: Float[Array, "..."], eps: Scalar, eps_root: Scalar
) -> Float[Array, "..."]:
    """m / (√(v + eps_root) + eps), and 0 where that denominator is 0."""
    denominator = jnp.sqrt(v + eps_root) + eps
    # A denominator of zero becomes inf, and m / inf is 0. So does nan, which comes from inf - inf
    # after v overflowed. (A nan gradient also makes m nan, so the divergence is still detected.)
    return m / jnp.where(denominator > 0, denominator, jnp.inf)


def non_negative_moment(v: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return v, at least the smallest normal number: solver errors can make it zero or negative.

    The root of v has no derivative at zero.
    """
    return jnp.maximum(v, jnp.finfo(v.dtype).tiny)


def second_moment_tolerance(rtol: Scalar, atol: Scalar, eps: Scalar, eps_root: Scalar) -> Scalar:
    """Absolute tolerance of v: `rtol` times ε² (inside the root: ε), plus `atol` squared.

    Smaller errors do not change the preconditioner much, and `atol` is that of a gradient.
    """
    return rtol * (eps_root + eps * eps) + atol * atol


def check_decays(learning_rate: Scalar, **inverse_times: Scalar) -> None:
    """Raise a `ValueError` for a decay 1 − aη outside [0, 1); traced values are not checked."""
    if isinstance(learning_rate, Tracer):
        return
    positive("learning_rate", float(learning_rate))
    for name, value in inverse_times.items():
        if isinstance(value, Tracer):
            continue
        value, limit = float(value), 1 / float(learning_rate)
        if not 0 < value <= limit * (1 + 1e-12):
            raise bad(
                name,
                value,
                f"greater than 0 and at most 1 / learning_rate = {limit:g}, "
                f"so that the decay 1 - {name}*learning_rate lies in [0, 1)",
            )


def check_positive(**values: Scalar) -> None:
    """Raise a `ValueError` for a value that is not positive; traced values are not checked."""
    for name, value in values.items():
        if not isinstance(value, Tracer):
            positive(name, float(value))


def check_eps(eps: Scalar, eps_root: Scalar) -> None:
    """Raise a `ValueError` for a negative ε; traced values are not checked."""
    for name, value in (("eps", eps), ("eps_root", eps_root)):
        if not isinstance(value, Tracer):
            non_negative(name, float(value))
