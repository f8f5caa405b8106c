"""Which leaves of a model are trained, and how the others get back into it.

A model is what `init` of a problem returns: any PyTree, an equinox module, a flax NNX module.
"""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree


class Parts(NamedTuple):
    """A model in two parts.

    - `params`: what is trained: the model with `None` in place of all other leaves.
    - `rest`: the other leaves, `None` in place of trained ones; `None` if there are no others.
    """

    params: PyTree
    rest: PyTree


class Merged(eqx.Module):
    """What a flax NNX module has besides its parameters."""

    definition: Any
    others: Any


def split(model: PyTree) -> Parts:
    """Part a model. Trained are its floating-point numbers: arrays, and Python floats.

    In an equinox module, only arrays are trained (as by `eqx.is_inexact_array`): a float is a
    setting there, such as the rate of a dropout. In a flax NNX module, only `nnx.Param` is.
    Functions, strings, integers, bools and random keys are not trained.

    Raises a `TypeError` for state that changes during training, which a sweep does not carry.
    """
    if isinstance(model, Mapping) and "params" in model and len(model) > 1:
        raise _changing(sorted(map(str, model.keys() - {"params"})), 'variables["params"]')
    if nnx := _nnx(model):
        definition, params, others = nnx.split(model, nnx.Param, ...)
        _check_nnx(nnx, others)
        return Parts(params, Merged(definition, others))
    modules = jax.tree.leaves(model, is_leaf=lambda x: isinstance(x, eqx.Module))
    plain = not any(isinstance(x, eqx.Module) for x in modules)
    params, rest = eqx.partition(model, lambda leaf: _is_trained(leaf, plain))
    return Parts(params, rest if jax.tree.leaves(rest) else None)


def join(params: PyTree, rest: PyTree) -> PyTree:
    """Put the parts of a model together."""
    if rest is None:
        return params
    if isinstance(rest, Merged):
        from flax import nnx

        return nnx.merge(rest.definition, params, rest.others)
    return eqx.combine(params, rest)


def _is_trained(leaf: Any, plain: bool) -> bool:
    if hasattr(leaf, "dtype"):
        return jnp.issubdtype(leaf.dtype, np.inexact)
    return plain and isinstance(leaf, float | complex)


def _nnx(model: Any) -> Any:
    """Return the module `flax.nnx` if a model is one of its modules."""
    nnx = sys.modules.get("flax.nnx")
    return nnx if nnx is not None and isinstance(model, nnx.Module) else None


def _check_nnx(nnx: Any, others: PyTree) -> None:
    """Refuse variables of floats that are not parameters, such as running means."""
    variables = jax.tree.leaves(others, is_leaf=lambda x: isinstance(x, nnx.Variable))
    floats = {
        type(variable).__name__
        for variable in variables
        if isinstance(variable, nnx.Variable)
        and any(_is_trained(leaf, True) for leaf in jax.tree.leaves(variable))
    }
    if floats:
        raise _changing(sorted(floats), "a module whose only state is nnx.Param")


def _changing(names: list[str], instead: str) -> TypeError:
    return TypeError(
        f"init must return only what is trained; it also returned {', '.join(names)}, which "
        f"changes during training, and a sweep carries no such state: return {instead} (layers "
        "that keep no running statistics, such as LayerNorm or GroupNorm, have none)"
    )
