"""PyTrees as vectors."""

import functools
import operator

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree


def dot(one: PyTree, other: PyTree) -> Float[Array, ""]:
    """Sum of the products of two PyTrees."""
    products = jax.tree.map(lambda x, y: jnp.sum(x * y), one, other)
    return functools.reduce(operator.add, jax.tree.leaves(products))


def norm(tree: PyTree) -> Float[Array, ""]:
    """2-norm of all numbers of a PyTree."""
    return jnp.sqrt(dot(tree, tree))


def flat(tree: PyTree) -> Float[Array, " size"]:
    """All numbers of a PyTree in one array."""
    return ravel_pytree(tree)[0]


def times(tree: PyTree, factor: float) -> PyTree:
    """A PyTree times a number."""
    return jax.tree.map(lambda x: factor * x, tree)
