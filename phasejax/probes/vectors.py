"""Sums over all numbers of a PyTree."""

import functools
import operator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


def dot(one: PyTree, other: PyTree) -> Float[Array, ""]:
    """Sum of the products of two PyTrees."""
    products = jax.tree.map(lambda x, y: jnp.sum(x * y), one, other)
    return functools.reduce(operator.add, jax.tree.leaves(products))


def norm(tree: PyTree) -> Float[Array, ""]:
    """2-norm of all numbers of a PyTree."""
    return jnp.sqrt(dot(tree, tree))
