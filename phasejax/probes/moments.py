"""The second moments by which an optimizer divides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from .._check import ArgumentError
from .._precision import precision
from .base import End, Probe, Quantity


@dataclass(frozen=True)
class Moments(Probe):
    r"""Least and median $\sqrt{\hat v}$ of all parameters at the end of every window.

    $\hat v$ is the second moment by which the optimizer divides: the array `v` or `nu` of a state,
    or `nu_max`. Where the state counts its steps, `nu` is corrected for its start by 1 − βᵗ, with
    the decay β by which it shrinks without a gradient. Optimizers whose array is none of this are
    refused: it has to grow by four for gradients twice as large, and to shrink without.
    """

    name: ClassVar[str] = "moments"

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """Two quantiles."""
        units = "loss / parameter"
        return {
            "root_second_moment_min": Quantity("least root of a second moment", units),
            "root_second_moment_median": Quantity("median root of a second moment", units),
        }

    def bind(self, rule: Any, params: PyTree[np.ndarray], state: PyTree) -> "Moments":
        """Refuse an optimizer without second moments."""
        if not _holders(state):
            said = f" = {self.name}: the optimizer's state has no second moment named v or nu"
            raise ArgumentError("probes", said)
        with precision():
            empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), state)
            ones = jax.tree.map(jnp.ones_like, params)
            grown = [
                np.asarray(_raw(rule.update(_times(ones, k), empty, params)[1])) for k in (1.0, 2.0)
            ]
            decay = np.asarray(_decay(rule, params))
        if not (
            np.allclose(grown[1], 4 * grown[0], rtol=1e-3) and np.all((decay < 1) & (decay >= 0))
        ):
            said = f" = {self.name}: the optimizer's v or nu is no average of squared gradients"
            raise ArgumentError("probes", said)
        return self

    def start(self, params: PyTree, state: PyTree) -> tuple[()]:
        """Remember nothing."""
        return ()

    def window(self, memory: tuple[()], end: End) -> tuple[tuple[()], dict[str, Float[Array, ""]]]:
        """Look at the state."""
        roots = jnp.sqrt(_second_moment(end))
        return memory, {
            "root_second_moment_min": jnp.min(roots),
            "root_second_moment_median": jnp.median(roots),
        }


def _holds(part: Any) -> bool:
    return hasattr(part, "nu") or hasattr(part, "v")


def _holders(state: PyTree) -> list[Any]:
    """Return the parts of a state that have second moments."""
    return [part for part in jax.tree.leaves(state, is_leaf=_holds) if _holds(part)]


def _raw(state: PyTree) -> Float[Array, " size"]:
    """Return the second moments of a state as they are."""
    holders = _holders(state)
    return _flat([part.nu if hasattr(part, "nu") else part.v for part in holders])


def _decay(rule: Any, params: PyTree) -> Float[Array, " size"]:
    """Return the factor by which second moments shrink without a gradient."""
    start = rule.init(params)
    ones = jax.tree.map(
        lambda part: (
            part._replace(**{n: _times(getattr(part, n), 0.0, 1.0) for n in _names(part)})
            if _holds(part)
            else part
        ),
        start,
        is_leaf=_holds,
    )
    return _raw(rule.update(_times(params, 0.0), ones, params)[1])


def _names(part: Any) -> list[str]:
    return [name for name in ("nu", "v") if hasattr(part, name)][:1]


def _second_moment(end: End) -> Float[Array, " size"]:
    """Return the second moments of all parameters, corrected as their optimizer does."""
    decays, found, first = _decay(end.rule, end.params), [], 0
    for part in _holders(end.state):
        moments = _flat(part.nu if hasattr(part, "nu") else part.v)
        decay = decays[first : first + moments.size]
        first += moments.size
        if hasattr(part, "nu_max"):
            moments = _flat(part.nu_max)
        elif hasattr(part, "v_weight"):
            moments = moments / part.v_weight
        elif "count" in part._fields:  # every tuple has a method of this name
            moments = moments / (1 - decay**part.count)
        found.append(moments)
    return jnp.concatenate(found)


def _flat(tree: PyTree) -> Float[Array, " size"]:
    return ravel_pytree(tree)[0]


def _times(tree: PyTree, factor: float, more: float = 0.0) -> PyTree:
    return jax.tree.map(lambda x: factor * x + more, tree)
