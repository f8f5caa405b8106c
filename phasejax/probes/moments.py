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
from .base import End, Probe, Quantity


@dataclass(frozen=True)
class Moments(Probe):
    r"""Least and median $\sqrt{\hat v}$ of all parameters at the end of every window.

    $\hat v$ is the second moment as the optimizer divides by it: the array `v` or `nu` of its
    state. That of Adam is corrected for its start, by `v_weight` in `phasejax.adam`, and where a
    state counts its steps, by 1 − βᵗ with the decay β by which it shrinks without a gradient.
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

    def bind(self, rule: Any, params: PyTree[np.ndarray]) -> "Moments":
        """Refuse an optimizer without second moments."""
        if not _holders(rule.init(params)):
            said = f" = {self.name}: the optimizer's state has no second moment named v or nu"
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


def _holders(state: PyTree) -> list[Any]:
    """Return the parts of a state that have second moments."""

    def holds(part: Any) -> bool:
        return hasattr(part, "nu") or hasattr(part, "v")

    return [part for part in jax.tree.leaves(state, is_leaf=holds) if holds(part)]


def _second_moment(end: End) -> Float[Array, " size"]:
    """Return the second moments of all parameters, corrected as their optimizer does."""
    holder = _holders(end.state)[0]
    moments = ravel_pytree(holder.nu if hasattr(holder, "nu") else holder.v)[0]
    if hasattr(holder, "v_weight"):
        return moments / holder.v_weight
    if hasattr(holder, "nu") and hasattr(holder, "count") and hasattr(holder, "mu"):
        zeros = jax.tree.map(jnp.zeros_like, end.params)
        after = _holders(end.rule.update(zeros, end.state, end.params)[1])[0]
        decay = jnp.nanmax(ravel_pytree(after.nu)[0] / moments)
        return moments / (1 - decay**holder.count)
    return moments
