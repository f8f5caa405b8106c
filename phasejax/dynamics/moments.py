"""What Adam, RMSprop and their flows share: averages, the preconditioner, and checks."""

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PyTree

from .._check import bad, non_negative, positive
from .._types import Scalar


def average(old: PyTree, new: PyTree, weight: Scalar) -> PyTree:
    """One step of an exponential moving average: (1 − weight)·old + weight·new."""
    return jax.tree.map(lambda old, new: old + weight * (new - old), old, new)


def kept(average: PyTree, weight: Scalar) -> PyTree:
    """Return what a step leaves of an average for the next: nothing, where its weight is 1.

    The next step would subtract it, and leave its rounding.
    """
    return jax.tree.map(lambda x: jnp.where(weight < 1, x, 0), average)


def corrected_weight(weight: Scalar, dtype: jnp.dtype) -> Float[Array, ""]:
    """Keep the weight of a bias-corrected average where its arithmetic holds.

    At most 1, above which a rounding of a·η would make v negative. And at least eps²/4096: after t
    steps a corrected average depends on so small a weight by a relative t·weight / 2, less than
    a rounding for any t below 1e9; the product of two, and its inverse, are finite.
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
    """moment / weight, and its limit where the weight is zero: at t = 0."""
    return jnp.where(weight > 0, moment / jnp.where(weight > 0, weight, 1), limit)


def is_zero(tree: PyTree) -> Bool[Array, ""]:
    """Whether all numbers of a PyTree are zero; an empty one is."""
    return jnp.array([jnp.all(x == 0) for x in jax.tree.leaves(tree)], bool).all()


def zero_weight(params: optax.Params) -> Float[Array, ""]:
    """Start a bias correction, in the dtype of the parameters."""
    return jnp.zeros((), jnp.result_type(*jax.tree.leaves(params)))


def precondition(
    m: Float[Array, "..."], v: Float[Array, "..."], eps: Scalar, eps_root: Scalar
) -> Float[Array, "..."]:
    """m / (√(v + eps_root) + eps), and 0 where that denominator is 0."""
    denominator = jnp.sqrt(v + eps_root) + eps
    # Zero becomes inf, and m / inf is 0. So does nan: v overflowed, and inf - inf came after. (A
    # gradient that is nan makes m nan too, so that divergence is seen.)
    return m / jnp.where(denominator > 0, denominator, jnp.inf)


def non_negative_moment(v: Float[Array, "..."]) -> Float[Array, "..."]:
    """Keep a solver's error from making v negative, or zero, where its root has no derivative."""
    return jnp.maximum(v, jnp.finfo(v.dtype).tiny)


def second_moment_tolerance(rtol: Scalar, atol: Scalar, eps: Scalar, eps_root: Scalar) -> Scalar:
    """Absolute error that v may have: as large as ε hides, or that of a gradient of size `atol`."""
    return rtol * (eps_root + eps * eps) + atol * atol


def check_decays(learning_rate: Scalar, **inverse_times: Scalar) -> None:
    """Refuse, where the values are known, a decay 1 − aη outside [0, 1)."""
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
    """Refuse, where the values are known, one that is not positive."""
    for name, value in values.items():
        if not isinstance(value, Tracer):
            positive(name, float(value))


def check_eps(eps: Scalar, eps_root: Scalar) -> None:
    """Refuse, where the values are known, a negative ε."""
    for name, value in (("eps", eps), ("eps_root", eps_root)):
        if not isinstance(value, Tracer):
            non_negative(name, float(value))
