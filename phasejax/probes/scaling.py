"""The size of a tangent, as numbers near one and powers of two.

A tangent shrinks or grows without bound over a run. Two sizes are followed: that of its parameters,
and that of all of it. Where a cell rests, they part: second moments forget a change as αᵗ, however
fast the parameters do, and the ratio of the two leaves the range of floating-point numbers. By then
no step carries anything of the memory into the parameters. So memory that is far larger than the
parameters is held at a fixed distance from them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Int

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


def scaled(
    tangent: Tangent, count: int, lowered: Int[Array, ""]
) -> tuple[Tangent, Int[Array, ""], Int[Array, ""]]:
    """Return a tangent over 2^e, whose largest number is between ½ and 1, with its memory held.

    **Arguments:**

    - `tangent`: that of `count` arrays of parameters, and of the state.
    - `lowered`: powers of two by which memory far larger than the parameters has been divided.

    All such memory is divided by one more power of two, as what one array of it does to another
    counts. Returns the tangent, e, and the new `lowered`. Numbers are read and written once.
    """
    sizes = jnp.stack([jnp.abs(x).max(initial=0) for x in tangent])
    largest = sizes.max()
    mantissa, exponent = jnp.frexp(largest)
    factor = jnp.where(largest > 0, mantissa / largest, 1)  # exactly 2^-e, sooner than ldexp
    if count == len(tangent):
        return [x * factor.astype(x.dtype) for x in tangent], exponent.astype(jnp.int32), lowered
    # Powers of two above the largest number of an array; of zeros, the least that parameters have.
    powers = jnp.where(sizes > 0, jnp.frexp(sizes)[1] - exponent, -DISTANCE).astype(jnp.int32)
    own, memory = powers[:count].max(), powers[count:]
    far = memory > own + FAR
    most = jnp.where(far, memory, own).max()
    more = jnp.maximum(most - own - DISTANCE, -lowered)
    factors = jnp.where(far, jnp.ldexp(factor, -more), factor)
    params = [x * factor.astype(x.dtype) for x in tangent[:count]]
    state = [x * factors[i].astype(x.dtype) for i, x in enumerate(tangent[count:])]
    return [*params, *state], exponent.astype(jnp.int32), lowered + more
