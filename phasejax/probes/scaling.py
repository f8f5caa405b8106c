"""The size of a tangent, as numbers near one and powers of two.

A tangent shrinks or grows without bound over a run. Two sizes are followed: that of its parameters,
and that of all of it. Where a cell rests, they part: second moments forget a change as αᵗ, however
fast the parameters do, and the ratio of the two leaves the range of floating-point numbers. By then
no step carries anything of the memory into the parameters. So memory that is far larger than the
parameters is held at a fixed distance from them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .tangent import Tangent
from .vectors import norm

DISTANCE = 64
"""Powers of two by which memory is larger than the parameters at most."""
FAR = 32
"""Memory that is larger than the parameters by this many powers of two is held at the distance."""


def unit(tangent: Tangent) -> Tangent:
    """Return a tangent of 2-norm 1, or 0."""
    size = norm(tangent)
    return [x / jnp.where(size == 0, 1, size).astype(x.dtype) for x in tangent]


def scaled(tangent: Tangent) -> tuple[Tangent, Int[Array, ""]]:
    """Return a tangent over 2^e, and e: its largest number is then between ½ and 1."""
    largest = jnp.stack([_largest(x) for x in tangent]).max()
    mantissa, exponent = jnp.frexp(largest)
    factor = jnp.where(largest > 0, mantissa / largest, 1)  # exactly 2^-e, sooner than ldexp
    return [x * factor.astype(x.dtype) for x in tangent], exponent.astype(jnp.int32)


def held(tangent: Tangent, count: int, lowered: Int[Array, ""]) -> tuple[Tangent, Int[Array, ""]]:
    """Hold memory that is far larger than the parameters at the distance.

    **Arguments:**

    - `tangent`: that of `count` arrays of parameters, and of the state; the largest number is 1 or
        less.
    - `lowered`: powers of two by which such memory has been divided so far.

    All such memory is divided by one power of two, as what one array of it does to another counts.
    Returns the tangent and the new `lowered`.
    """
    if count == len(tangent):
        return tangent, lowered
    sizes = jnp.stack([_exponent(x) for x in tangent])
    own, memory = sizes[:count].max(), sizes[count:]
    far = memory > own + FAR
    most = jnp.where(far, memory, own).max()
    more = jnp.maximum(most - own - DISTANCE, -lowered)
    factors = jnp.where(far, jnp.ldexp(jnp.ones(far.shape), -more), 1)
    state = [x * factors[i].astype(x.dtype) for i, x in enumerate(tangent[count:])]
    return [*tangent[:count], *state], lowered + more


def _largest(x: Float[Array, "..."]) -> Float[Array, ""]:
    return jnp.abs(x).max(initial=0)


def _exponent(x: Float[Array, "..."]) -> Int[Array, ""]:
    """Power of two above the largest number; of zeros, the least that parameters have."""
    largest = _largest(x)
    return jnp.where(largest > 0, jnp.frexp(largest)[1], -DISTANCE).astype(jnp.int32)
