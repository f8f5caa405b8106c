"""Array types that annotations share."""

import jax
import numpy as np

AnyArray = jax.Array | np.ndarray
"""A JAX or a NumPy array: data wait in NumPy until a compiled program takes them."""

Whole = int | float | np.number | AnyArray
"""What counts as an integer if it is whole; `_check.whole` makes an `int` of it."""
