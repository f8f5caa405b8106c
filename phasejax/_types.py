"""Array types that annotations share."""

import jax
import numpy as np
from jaxtyping import Array, Float

AnyArray = jax.Array | np.ndarray
"""A JAX or a NumPy array: data wait in NumPy until a compiled program takes them."""

Whole = int | float | np.number | AnyArray
"""What counts as an integer if it is whole; `_check.whole` makes an `int` of it."""

Scalar = float | Float[Array, ""]
"""A number, or a scalar that JAX traces."""
