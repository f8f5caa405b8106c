"""Array types that annotations share."""

import jax
import numpy as np

AnyArray = jax.Array | np.ndarray
"""A JAX or a NumPy array: data wait in NumPy until a compiled program takes them."""
