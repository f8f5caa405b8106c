"""Whether an optimizer is at rest: at zero gradients, every update to come is zero.

Comparing a state with the next one is not enough: at zero gradients a second moment never stops
decaying. What matters is which arrays are exactly zero and stay zero. Each operation of an update
is evaluated on one bit per array, "all of it is zero": a momentum of zero stays zero, and zero
divided by a second moment is zero, whatever the moment is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal
from jaxtyping import Array, Bool, PyTree

Bit = Bool[Array, ""]
"""Whether all of an array is zero."""

ZERO_IF_ALL = set(
    "abs add add_any asinh atan broadcast_in_dim cbrt ceil concatenate convert_element_type copy "
    "copy_p cumsum erf expand_dims expm1 floor imag log1p max min neg pad real reduce_max "
    "reduce_min reduce_precision reduce_sum reshape rev round sign sin sinh sqrt square squeeze "
    "stop_gradient sub tan tanh transpose".split()
)
"""Operations whose result is zero if all operands are."""
ZERO_IF_ANY = {"mul", "dot_general"}
"""Operations whose result is zero if any operand is."""
ZERO_IF_FIRST = {"div", "dynamic_slice", "gather", "integer_pow", "rem", "slice"}
"""Operations whose result is zero if the first operand is (powers must be positive)."""
CALLS = {"pjit", "jit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call"}
"""Operations that call another program."""


def rests(update: Callable[[PyTree], tuple[PyTree, PyTree]], state: PyTree) -> Bit:
    """Say whether all updates to come are known to be zero.

    `update(state)` returns updates and the next state at zero gradients. The update is
    also computed for this state, and for one whose other numbers have decayed to zero, where 0/0
    may occur.
    """
    leaves, structure = jax.tree.flatten(state)
    if not leaves:
        return _all_zero(update(state)[0])

    def flat(leaves: list[Any]) -> tuple[list[Any], list[Any]]:
        updates, following = update(jax.tree.unflatten(structure, leaves))
        return jax.tree.leaves(updates), jax.tree.leaves(following)

    trace = jax.make_jaxpr(flat)(leaves)
    count = len(trace.out_avals) - len(leaves)

    def zeros_after(bits: Array) -> list[Bit]:
        return _follow(trace, [bits[i] for i in range(len(leaves))])

    def narrowed(_: Any, bits: Array) -> Array:
        return bits & jnp.stack(zeros_after(bits)[count:])

    # The largest set of arrays that are zero, and stay zero as long as all of them are.
    bits = jax.lax.fori_loop(
        0, len(leaves), narrowed, jnp.stack([_all_zero(leaf) for leaf in leaves])
    )
    stays = jnp.stack(zeros_after(bits)[:count]).all()
    decayed = [jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.floating) else x for x in leaves]
    return stays & _all_zero(flat(leaves)[0]) & _all_zero(flat(decayed)[0])


def _all_zero(tree: PyTree) -> Bit:
    """Say whether all numbers of a tree are zero; false if it has a random key."""
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(tree)]
    if any(jnp.issubdtype(x.dtype, jax.dtypes.extended) for x in leaves):
        return jnp.zeros((), bool)
    return jnp.stack([jnp.all(x == 0) for x in leaves]).all()


def _follow(trace: ClosedJaxpr, inputs: Sequence[Bit]) -> list[Bit]:
    """Return for each result of a program whether it is zero, from the same for its arguments."""
    jaxpr = trace.jaxpr
    known: dict[Any, Bit] = dict(zip(jaxpr.invars, inputs, strict=True))
    known |= {v: _all_zero(c) for v, c in zip(jaxpr.constvars, trace.consts, strict=True)}

    def zero(variable: Any) -> Bit:
        return _all_zero(variable.val) if isinstance(variable, Literal) else known[variable]

    for equation in jaxpr.eqns:
        results = _zeros_of(equation, [zero(variable) for variable in equation.invars])
        known.update(zip(equation.outvars, results, strict=True))
    return [zero(variable) for variable in jaxpr.outvars]


def _zeros_of(equation: Any, zeros: list[Bit]) -> list[Bit]:
    """Return for each result of an operation whether it is known to be zero."""
    name, results = equation.primitive.name, len(equation.outvars)
    if name in CALLS:
        inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
        if isinstance(inner, ClosedJaxpr) and len(inner.jaxpr.invars) == len(zeros):
            return _follow(inner, zeros)
    if name == "select_n":
        return [jnp.stack(zeros[1:]).all()]
    if name == "optimization_barrier":
        return zeros
    if name in ZERO_IF_ALL:
        return [jnp.stack(zeros).all()] * results
    if name in ZERO_IF_ANY:
        return [jnp.stack(zeros).any()]
    if name in ZERO_IF_FIRST and equation.params.get("y", 1) > 0:
        return [zeros[0]]
    return [jnp.zeros((), bool)] * results
