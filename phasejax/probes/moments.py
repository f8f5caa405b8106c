"""The second moments by which an optimizer divides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .._check import ArgumentError
from .._precision import precision
from .base import End, Probe, Quantity
from .vectors import flat, times


@dataclass(frozen=True)
class Moments(Probe):
    r"""Least and median $\sqrt{\hat v}$ of all parameters at the end of every window.

    $\hat v$ is the second moment by which the optimizer divides: the array `v` or `nu` of a state,
    or `nu_max`. Where the state counts its steps, `nu` is corrected for its start by 1 − βᵗ, with
    the decay β by which it shrinks without a gradient. Optimizers whose array is none of this are
    refused: it has to grow by four for gradients twice as large, and to shrink without.
    """

    name: ClassVar[str] = "moments"
    of_optimizer = True

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
                np.asarray(_raw(rule.update(times(ones, k), empty, params)[1])) for k in (1.0, 2.0)
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
            "root_second_moment_median": _median(roots),
        }


def _median(positive: Float[Array, " size"]) -> Float[Array, ""]:
    """Median of numbers that are not negative, or nan if one is nan.

    Their bits, read as integers, have the same order; XLA sorts integers three times as fast.
    """
    bits = jax.lax.bitcast_convert_type(positive, f"int{8 * positive.dtype.itemsize}")
    ordered = jax.lax.bitcast_convert_type(jnp.sort(bits, stable=False), positive.dtype)
    middle = (ordered[(positive.size - 1) // 2] + ordered[positive.size // 2]) / 2
    return jnp.where(jnp.isnan(positive).any(), jnp.nan, middle)


def _holds(part: Any) -> bool:
    return hasattr(part, "nu") or hasattr(part, "v")


def _holders(state: PyTree) -> list[Any]:
    """Return the parts of a state that have second moments."""
    return [part for part in jax.tree.leaves(state, is_leaf=_holds) if _holds(part)]


def _moments(part: Any) -> PyTree:
    """Return the second moments that a part of a state has."""
    return part.nu if hasattr(part, "nu") else part.v


def _raw(state: PyTree) -> Float[Array, " size"]:
    """Return the second moments of a state as they are."""
    return flat([_moments(part) for part in _holders(state)])


def _decay(rule: Any, params: PyTree) -> Float[Array, " size"]:
    """Return the factor by which second moments shrink without a gradient."""

    def with_ones(part: Any) -> Any:
        if not _holds(part):
            return part
        ones = jax.tree.map(jnp.ones_like, _moments(part))
        return part._replace(**{"nu" if hasattr(part, "nu") else "v": ones})

    start = jax.tree.map(with_ones, rule.init(params), is_leaf=_holds)
    return _raw(rule.update(times(params, 0.0), start, params)[1])


def _second_moment(end: End) -> Float[Array, " size"]:
    """Return the second moments of all parameters, corrected as their optimizer does."""
    decays, found, first = _decay(end.rule, end.params), [], 0
    for part in _holders(end.state):
        moments = flat(_moments(part))
        decay = decays[first : first + moments.size]
        first += moments.size
        if hasattr(part, "nu_max"):
            moments = flat(part.nu_max)
        elif hasattr(part, "v_weight"):
            moments = moments / part.v_weight
        elif "count" in part._fields:  # every tuple has a method of this name
            moments = moments / (1 - decay**part.count)
        found.append(moments)
    return jnp.concatenate(found)
