"""Tangents of a cell: how a step carries on a small change of parameters and state.

A tangent is a list of arrays, one per array of floats in (parameters, state). Step counters and
random keys have none.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array, Float, PyTree

from .base import Step

Tangent = list[Float[Array, "..."]]


def has_tangent(x: Any) -> bool:
    """Say whether an array is of floats."""
    return jnp.issubdtype(jnp.result_type(x), jnp.floating)


def drawn_like(tree: PyTree) -> Tangent:
    """Return a pseudo-random tangent that depends on shapes and dtypes alone; no number is zero."""
    leaves = [x for x in jax.tree.leaves(tree) if has_tangent(x)]
    return [
        jax.random.uniform(jax.random.key(i), jnp.shape(x), jnp.result_type(x), 0.5, 1.5)
        for i, x in enumerate(leaves)
    ]


def zeros_like(tree: PyTree) -> Tangent:
    """Return the tangent of something that does not change."""
    leaves = [x for x in jax.tree.leaves(tree) if has_tangent(x)]
    return [jnp.zeros(jnp.shape(x), jnp.result_type(x)) for x in leaves]


def pushed(step: Step, tangent: Tangent) -> Tangent:
    """Return the tangent after a step: the Jacobian of the step times the tangent.

    The result is finite. √x has derivative 0 at x = 0 (`with_flat_roots` says why), and a number
    that is nan or infinite all the same, for example from x ** 0.5 at zero, becomes 0.
    """
    leaves, structure = jax.tree.flatten((step.params, step.before))
    floats = [x for x in leaves if has_tangent(x)]

    def move(floats: Tangent) -> Tangent:
        given = iter(floats)
        filled = [next(given) if has_tangent(x) else x for x in leaves]
        after = jax.tree.leaves(step.move(*jax.tree.unflatten(structure, filled)))
        return [y for x, y in zip(leaves, after, strict=True) if has_tangent(x)]

    _, moved = jax.jvp(with_flat_roots(move), (floats,), (tangent,))
    return [jnp.where(jnp.isfinite(x), x, 0) for x in moved]


def with_flat_roots(function: Callable[[Tangent], Tangent]) -> Callable[[Tangent], Tangent]:
    """Return the function with another derivative: that of √x is 0 at x = 0.

    An optimizer divides by √v + ε, where v averages squares of gradients, m averages gradients.
    Where v = 0, those gradients are zero (or their squares underflow), and so is m. Then

        d[m / (√v + ε)] = dm / ε − m d√v / ε² = dm / ε,

    since a change δ of the parameters changes √v and m by at most O(δ), and their product by O(δ²).
    Automatic differentiation has 0 · ∞ instead: 1 / (2√v) is infinite, and dv = 2g dg is zero.
    """

    def run(floats: Tangent) -> Tangent:
        return jaxpr_as_fun(_rewritten(jax.make_jaxpr(function)(floats)))(*floats)

    return run


def _rewritten(trace: ClosedJaxpr) -> ClosedJaxpr:
    """Return a program with `_root` for the square root, and the same in programs that it calls."""
    equations = [_replaced(equation) for equation in trace.jaxpr.eqns]
    return trace.replace(jaxpr=trace.jaxpr.replace(eqns=equations))


def _replaced(equation: Any) -> Any:
    name, params = equation.primitive.name, equation.params
    if name == "sqrt":
        (root,) = jax.make_jaxpr(_root)(equation.invars[0].aval).eqns
        return root.replace(invars=equation.invars, outvars=equation.outvars)
    if name.startswith("custom_"):  # it brings its own derivative
        return equation
    called = {
        key: jax.tree.map(_if_program, value)
        for key, value in params.items()
        if any(isinstance(x, ClosedJaxpr) for x in jax.tree.leaves(value))
    }
    return equation.replace(params=params | called) if called else equation


def _if_program(x: Any) -> Any:
    return _rewritten(x) if isinstance(x, ClosedJaxpr) else x


@jax.custom_jvp
def _root(x: Array) -> Array:
    return jnp.sqrt(x)


@_root.defjvp
def _derivative_of_root(values: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    root = jnp.sqrt(values[0])
    flat = root == 0
    return root, jnp.where(flat, 0, tangents[0] / (2 * jnp.where(flat, 1, root)))
