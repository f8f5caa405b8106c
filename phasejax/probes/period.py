"""The period of an orbit: after how many steps the parameters return."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from .._check import bad, whole
from .base import End, Probe, Quantity, Step
from .vectors import dot

NOT_FOUND = 0
"""Code of a cell that rests nowhere and has no period of at most half a ring."""
FIXED_POINT = 1
"""Code of a cell at rest."""
CYCLE = 2
"""Code of a cell on a cycle of at least two steps."""
ROUNDING = 16.0
"""Movement of at most this much, in units of rounding (machine epsilon times size), is rest."""

Points = Float[Array, "ring projections"]
Memory = tuple[Points, Int[Array, ""], Float[Array, ""]]


@dataclass(frozen=True)
class Period(Probe):
    r"""Period of the orbit at the end of every window, from the parameters and not from the loss.

    On an even loss a cycle such as RMSprop's x = ±η/2 has a constant loss, so the probe looks at
    $y_t = W\theta_t$: a few fixed projections of the parameters, onto pseudo-random directions of
    length one. The last P of them are kept. With h = P/2, and t among the last h steps, let

    $$\Delta_p = \max |y_t - y_{t-p}|, \qquad R = \max y_t - \min y_t .$$

    The period is the least p ≤ h with $\Delta_p \le \max(\tau R, \rho \max|y_t|)$, where τ is the
    tolerance and ρ is 16 machine epsilons: every p is seen to return h ≥ p times. It is

    - 1 for a fixed point. As $R \le (h-1)\,\Delta_1$ and τ < 1/h, only a range below rounding
        passes: a descent is no fixed point, however slow, unless it moves by less than a few ρ in h
        steps, relative to the size of the parameters. Where no period is found, a range of at most
        ρ times the largest |y| of the run so far is a fixed point too, because an iterate that goes
        to zero never rests relative to its own size.
    - p from 2 to h for a cycle. An oscillation that drifts or shrinks by less than the tolerance
        over p steps is one.
    - 0 if there is none: a descent, a longer cycle, a quasi-periodic or chaotic orbit, or the noise
        of mini-batches. `phasejax.recurrence` tells some of them apart.
    - nan for fewer than P steps so far, and where parameters are not finite.

    Results have `orbit_period` per window, and per cell `final_period` and `period_kind` (0 none
    found, 1 fixed point, 2 cycle, nan not known). Memory grows with cells × P.

    - `ring`: P, the number of steps that are kept.
    - `projections`: number of projections.
    - `tolerance`: largest change that counts as a return, relative to the range; less than 2/P.

    ```python
    dataset = pj.sweep(problem, pj.rmsprop, grid, probes=[pj.probes.Period(ring=128)])
    ```
    """

    ring: int = 64
    projections: int = 3
    tolerance: float = 1e-3

    name: ClassVar[str] = "period"

    def __post_init__(self) -> None:
        object.__setattr__(self, "ring", whole("ring", self.ring, least=4))
        object.__setattr__(self, "projections", whole("projections", self.projections))
        if not 0 < self.tolerance < 2 / self.ring:
            raise bad("tolerance", self.tolerance, f"between 0 and 2/ring = {2 / self.ring:g}")

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """The period; `period` itself is a feature of the loss."""
        return {"orbit_period": Quantity("period of the parameters, 0 if none is found", "steps")}

    @property
    def cell_variables(self) -> Mapping[str, Quantity]:
        """Period at the end of the run, and its kind."""
        return {
            "final_period": Quantity("period at the end of the run, 0 if none is found", "steps"),
            "period_kind": Quantity("0 no period found, 1 fixed point, 2 cycle"),
        }

    @property
    def config(self) -> Any:
        """Settings."""
        return {"ring": self.ring, "projections": self.projections, "tolerance": self.tolerance}

    def start(self, params: PyTree, state: PyTree) -> Memory:
        """Begin with an empty ring: nan is a step that was not taken."""
        del state
        point = self._project(params)
        ring = jnp.full((self.ring, self.projections), jnp.nan, point.dtype)
        return ring, jnp.zeros((), jnp.int32), jnp.abs(point).max()

    def step(self, memory: Memory, step: Step) -> Memory:
        """Replace the oldest point."""
        ring, oldest, largest = memory
        point = self._project(step.following)
        largest = jnp.maximum(largest, jnp.abs(point).max())
        return ring.at[oldest].set(point), (oldest + 1) % self.ring, largest

    def window(self, memory: Memory, end: End) -> tuple[Memory, dict[str, Float[Array, ""]]]:
        """Find the period; the ring goes on, so that windows may be shorter."""
        del end
        ring, oldest, largest = memory
        points = jnp.roll(ring, -oldest, axis=0)
        return memory, {"orbit_period": _period(points, largest, self.tolerance)}

    def describe(
        self, measured: Mapping[str, Float[np.ndarray, "cells window"]], edges: np.ndarray
    ) -> dict[str, Float[np.ndarray, " cells"]]:
        """Return the last period and its kind.

        A cell that rests at zero loss may not be computed to the end, and neither is one that has
        diverged. Their last windows are nan; only the former ends with a fixed point.
        """
        del edges
        period = measured["orbit_period"]
        known = ~np.isnan(period)
        last = period.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
        latest = period[np.arange(len(period)), last]
        final = np.where(known[:, -1] | (latest == FIXED_POINT), latest, np.nan)
        return {"final_period": final, "period_kind": np.minimum(final, CYCLE)}

    def _project(self, params: PyTree) -> Float[Array, " projections"]:
        return jnp.stack([dot(one, params) for one in _directions(params, self.projections)])


def _period(points: Points, largest: Float[Array, ""], tolerance: float) -> Float[Array, ""]:
    """Period of the last half of `points`, oldest first; `largest` is the largest of the run."""
    half = len(points) // 2
    late = points[-half:]

    def change(period: Int[Array, ""]) -> Float[Array, ""]:
        earlier = jax.lax.dynamic_slice_in_dim(points, len(points) - half - period, half)
        return jnp.abs(late - earlier).max()

    span = (late.max(0) - late.min(0)).max()
    rounding = ROUNDING * jnp.finfo(points.dtype).eps
    small = jnp.maximum(tolerance * span, rounding * jnp.abs(late).max())
    returns = jax.lax.map(change, jnp.arange(1, half + 1)) <= small
    rests = span <= rounding * largest
    otherwise = jnp.where(rests, FIXED_POINT, NOT_FOUND)
    period = jnp.where(returns.any(), jnp.argmax(returns) + 1, otherwise)
    return jnp.where(jnp.isfinite(points).all(), period.astype(points.dtype), jnp.nan)


def _directions(params: PyTree, count: int) -> list[PyTree]:
    """Pseudo-random directions of length about one, the same for every cell."""
    leaves, structure = jax.tree.flatten(params)
    random = np.random.default_rng(0)
    length = math.sqrt(sum(x.size for x in leaves) / 3)  # a uniform number has variance 1/3
    return [
        jax.tree.unflatten(
            structure, [(random.uniform(-1, 1, x.shape) / length).astype(x.dtype) for x in leaves]
        )
        for _ in range(count)
    ]
