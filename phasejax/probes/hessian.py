"""Products of vectors with the Hessian of a loss, or with its Gauss-Newton part."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ..problems.problem import Objective
from .base import Loss

Product = Callable[[Float[Array, " size"]], Float[Array, " size"]]
"""The product of a matrix with a flat vector."""


def hessian_of(loss: Loss, params: PyTree) -> tuple[PyTree, Product]:
    """Return the gradient, and the product with the Hessian."""
    _, unflatten = ravel_pytree(params)
    grads, linear = jax.linearize(jax.grad(loss), params)
    return grads, lambda vector: ravel_pytree(linear(unflatten(vector)))[0]


def gauss_newton_of(loss: Loss, params: PyTree) -> tuple[PyTree, Product]:
    """Return the gradient, and the product with JᵀLJ.

    J is the Jacobian of the outputs of a network, and L the Hessian of the loss in the outputs.
    What the outputs' own second derivatives add, which makes the Hessian indefinite, is left out.
    """
    outputs, of_outputs = parts_of(loss)
    _, unflatten = ravel_pytree(params)
    found, forward = jax.linearize(outputs, params)
    backward = jax.linear_transpose(forward, params)

    def product(vector: Float[Array, " size"]) -> Float[Array, " size"]:
        change = forward(unflatten(vector))
        curved = jax.jvp(jax.grad(of_outputs), (found,), (change,))[1]
        return ravel_pytree(backward(curved)[0])[0]

    return backward(jax.grad(of_outputs)(found))[0], product


def parts_of(loss: Any) -> tuple[Callable, Callable]:
    """Return outputs as a function of the parameters, and the loss as a function of the outputs.

    Both are the attribute `parts` of a loss, or of the function of a `jax.tree_util.Partial`, whose
    data they take first. Raises an `AttributeError` for a loss without them.
    """
    whole = loss.model if isinstance(loss, Objective) else lambda params: params
    loss = getattr(loss, "loss", loss)
    if isinstance(loss, jax.tree_util.Partial):
        outputs, of_outputs = loss.func.parts  # pyright: ignore[reportFunctionMemberAccess]
        data = loss.args
        return lambda x: outputs(*data, whole(x)), lambda y: of_outputs(*data, jnp.asarray(y))
    outputs, of_outputs = loss.parts
    return lambda x: outputs(whole(x)), of_outputs
