"""The largest Lyapunov exponent: how fast a small change of a cell grows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from .base import End, Probe, Quantity, Step
from .tangent import Tangent, drawn_like, has_tangent, pushed, zeros_like
from .vectors import norm

BURN_IN = 0.25
"""Part of a cell's windows that is left out: the start, and the tangent turning to its direction.
"""
FEWEST_BLOCKS = 8
"""Least number of blocks from which a standard error is estimated."""


class Memory(NamedTuple):
    """A tangent is `tangent` · 2^`exponent`; at the start of a window its 2-norm is 1."""

    tangent: Tangent
    exponent: Int[Array, ""]


@dataclass(frozen=True)
class Lyapunov(Probe):
    r"""Largest Lyapunov exponent of a cell, per step, with its standard error.

    z is the cell: its parameters and the state of its dynamics. A step is a map z ↦ F(z), and a
    small change w of z becomes DF(z) w. The exponent is the mean growth of w per step (Benettin et
    al. 1980, Meccanica 15, 9),

    $$\lambda = \lim_{T \to \infty} \frac1T \ln \frac{\|w_T\|}{\|w_0\|} .$$

    λ > 0: rounding, or any other small change, grows as e^{λt}: the cell is chaotic. λ < 0: it is
    forgotten. λ = 0 within its error: some direction neither grows nor shrinks, as along a valley
    of minima, a dead relu unit, or a quasi-periodic path. With mini-batches or noise, w sees the
    batch and the key of each step: λ compares two runs with the same draws.

    Results have `growth_rate` per window, `lyapunov_exponent` and `lyapunov_error` per cell, in
    1/step; divide by the learning rate for a rate per unit of time. The first quarter of the
    windows is left out. The error is the largest of the standard errors from means of blocks of
    1, 2, 4, … windows, as long as there are 8 blocks: it grows with the length of a block until
    blocks are longer than the correlations (Flyvbjerg and Petersen 1989, J. Chem. Phys. 91, 461).

    - w starts in the parameters, the same for all cells, and reaches the state by the steps. So a
      constant that an optimizer keeps in its state has no part in λ, and a second moment v that is
      zero has no tangent. At the end of each window, w gets a change of its parameters of the
      relative size of rounding: no direction is lost by underflow.
    - λ does not depend on the units of parameters and moments; the first windows do.
    - A cell that converges may have λ = ln α or ln β, the decays of v and m, even if the parameters
      come to rest faster.
    - `growth_rate` is inf in the window where a cell diverges, and nan from then on; its λ is nan.
      It is also nan where loss and gradient are exactly zero at the end of a window, and λ is then
      that of the windows before. −inf: the step forgets all of w, as where F is constant.
    - A derivative that does not exist: `phasejax.probes.tangent` says what is done at √0.

    ```python
    dataset = pj.sweep(problem, pj.adam, grid, probes=["lyapunov"])
    chaotic = dataset.lyapunov_exponent > 2 * dataset.lyapunov_error
    ```
    """

    name: ClassVar[str] = "lyapunov"

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """Growth of the tangent per window."""
        return {"growth_rate": Quantity("mean logarithmic growth of a tangent", "1/step")}

    @property
    def cell_variables(self) -> Mapping[str, Quantity]:
        """Exponent and its error."""
        return {
            "lyapunov_exponent": Quantity("largest Lyapunov exponent", "1/step"),
            "lyapunov_error": Quantity("standard error of the Lyapunov exponent", "1/step"),
        }

    def start(self, params: PyTree, state: PyTree) -> PyTree:
        """Begin with a change of the parameters."""
        unit = _unit(drawn_like(params))
        return Memory([*unit, *zeros_like(state)], jnp.zeros((), jnp.int32))

    def step(self, memory: PyTree, step: Step) -> PyTree:
        """Apply the Jacobian of a step, and divide by a power of two: that is exact."""
        moved = pushed(step, memory.tangent)
        moved, exponent = _scaled(moved)
        alive = jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(step.following)]).all()
        # A cell that is lost has an infinite tangent; after the end of the window, inf / inf.
        lost = [x + jnp.inf for x in memory.tangent]
        moved = [jnp.where(alive, x, y) for x, y in zip(moved, lost, strict=True)]
        return Memory(moved, memory.exponent + exponent)

    def window(self, memory: PyTree, end: End) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Return the growth since the start of the window."""
        tangent, exponent = memory
        size = norm(tangent)
        growth = (jnp.log(size) + exponent * np.log(2.0)) / end.length
        growth = jnp.where(_rests(end), jnp.nan, growth)
        tangent = _nudged(_unit(tangent), end.params)
        return Memory(tangent, jnp.zeros_like(exponent)), {"growth_rate": growth}

    def describe(
        self, measured: Mapping[str, Float[np.ndarray, "cells window"]], edges: np.ndarray
    ) -> dict[str, Float[np.ndarray, " cells"]]:
        """Return exponent and error from the windows before the first that is nan."""
        rates = np.asarray(measured["growth_rate"], np.float64)
        lengths = np.diff(edges)
        known = np.logical_and.accumulate(~np.isnan(rates), axis=1).sum(axis=1)
        exponent, error = np.full((2, len(rates)), np.nan)
        for count in np.unique(known[known > 0]):
            cells = known == count
            first = int(BURN_IN * count)
            kept = rates[cells, first:count]
            exponent[cells], error[cells] = _estimate(kept, lengths[first:count])
        exponent[np.isposinf(rates).any(axis=1)] = np.nan
        return {"lyapunov_exponent": exponent, "lyapunov_error": error}


def _unit(tangent: Tangent) -> Tangent:
    """Return a tangent of 2-norm 1, or 0."""
    size = norm(tangent)
    return [x / jnp.where(size == 0, 1, size).astype(x.dtype) for x in tangent]


def _scaled(tangent: Tangent) -> tuple[Tangent, Int[Array, ""]]:
    """Return a tangent over 2^e, and e: its largest number is then between ½ and 1."""
    largest = jnp.stack([jnp.abs(x).max(initial=0) for x in tangent]).max()
    mantissa, exponent = jnp.frexp(largest)
    factor = jnp.where(largest > 0, mantissa / largest, 1)  # exactly 2^-e, sooner than ldexp
    return [x * factor.astype(x.dtype) for x in tangent], exponent.astype(jnp.int32)


def _nudged(tangent: Tangent, params: PyTree) -> Tangent:
    """Change the parameters' part of a tangent by its rounding."""
    count = sum(map(has_tangent, jax.tree.leaves(params)))
    size = norm(tangent[:count])
    change = _unit(drawn_like(params))
    part = [
        x + y * (size * jnp.finfo(x.dtype).eps).astype(x.dtype)
        for x, y in zip(tangent[:count], change, strict=True)
    ]
    return [*part, *tangent[count:]]


def _rests(end: End) -> Bool[Array, ""]:
    """Say whether loss and gradient are zero. Such a cell may be taken out of the run."""
    if end.batched:
        return jnp.zeros((), bool)
    value, grads = jax.value_and_grad(end.loss)(end.params)
    return jnp.stack([value == 0, *((x == 0).all() for x in jax.tree.leaves(grads))]).all()


def _estimate(
    rates: Float[np.ndarray, "cells window"], lengths: Int[np.ndarray, " window"]
) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
    """Return means over windows, and the largest standard error of any length of blocks."""
    with np.errstate(invalid="ignore", divide="ignore"):  # -inf, and a single window
        mean = np.average(rates, axis=1, weights=lengths)
        errors = [_block_error(rates, 1)]
        size = 2
        while rates.shape[1] // size >= FEWEST_BLOCKS:
            errors.append(_block_error(rates, size))
            size *= 2
        return mean, np.max(errors, axis=0)


def _block_error(
    rates: Float[np.ndarray, "cells window"], size: int
) -> Float[np.ndarray, " cells"]:
    """Return the standard error of the mean, from means of blocks of `size` windows."""
    count = rates.shape[1] // size
    if count < 2:
        return np.full(len(rates), np.nan)
    blocks = rates[:, -count * size :].reshape(len(rates), count, size).mean(axis=2)
    return blocks.std(axis=1, ddof=1) / np.sqrt(count)
