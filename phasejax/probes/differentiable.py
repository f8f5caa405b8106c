"""Whether a loss has the second derivatives that a probe needs."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from .._check import ArgumentError, said
from .._precision import precision
from ..problems.problem import Problem
from .lanczos import fixed_direction

MESSAGE = 200
"""Most characters that are quoted from an error of JAX."""


def check_second_derivative(
    probe: str, problem: Problem, params: PyTree[np.ndarray], dtype: str
) -> None:
    """Refuse a loss whose Hessian can't be multiplied, or is nan, at a starting point.

    Warns of float32, in which differences of gradients are rounded.
    """
    where = f" = {probe}: the loss of problem '{problem.name}'"
    with precision():
        flat, unflatten = ravel_pytree(params)
        direction = unflatten(jnp.asarray(fixed_direction(flat.size, flat.dtype)))

        @jax.jit
        def product(params: PyTree, direction: PyTree) -> PyTree:
            return jax.jvp(jax.grad(problem.objective), (params,), (direction,))[1]

        try:
            change = product(params, direction)
        except Exception as error:
            text = f"{where} has no second derivative: {said(error, MESSAGE)}"
            raise ArgumentError("probes", text) from error
        numbers = np.concatenate([np.ravel(x) for x in jax.tree.leaves(change)])
    if not np.all(np.isfinite(numbers)):
        raise ArgumentError("probes", f"{where} has a second derivative of nan or inf at its start")
    if not np.any(numbers):
        raise ArgumentError("probes", f"{where} has a second derivative of zero at its start")
    if dtype == "float32":
        warnings.warn(
            f"probes = {probe} in float32: eigenvalues have about three correct digits, and "
            "none where the loss is close to its rounding; use float64",
            stacklevel=2,
        )
