"""Typed keys of `jax.random` in the state of a cell, as plain numbers for NumPy and files."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def unwrapped(tree: PyTree) -> PyTree:
    """Return a tree with the numbers of typed keys instead of the keys."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, tree)


def wrapped(numbers: PyTree, like: PyTree) -> PyTree:
    """Return a tree with typed keys where `like` has them: the inverse of `unwrapped`."""

    def wrap(x, key):
        return jax.random.wrap_key_data(x, impl=jax.random.key_impl(key)) if _is_key(key) else x

    return jax.tree.map(wrap, numbers, like)


def _is_key(x) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
