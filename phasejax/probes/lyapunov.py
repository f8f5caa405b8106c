"""The largest Lyapunov exponent: how fast a small change of a cell grows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from .base import End, Probe, Quantity, Step
from .scaling import DISTANCE, scaled, unit
from .tangent import Tangent, drawn_like, has_tangent, pushed, zeros_like
from .vectors import norm

BURN_IN = 0.25
"""Part of a cell's windows that is left out: the start, and the tangent turning to its direction.
"""
FEWEST_BLOCKS = 8
"""Least number of blocks from which a standard error is estimated."""


class Memory(NamedTuple):
    """A tangent, of which `phasejax.probes.scaling` holds the memory near the parameters.

    - `tangent`: divided by 2^`exponent` since the start of the window, where its 2-norm was 1.
    - `own`: ln of the 2-norm of its parameters there.
    - `lowered`: powers of two by which its memory is divided besides; `before` at the start.
    """

    tangent: Tangent
    exponent: Int[Array, ""]
    own: Float[Array, ""]
    lowered: Int[Array, ""]
    before: Int[Array, ""]


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

    At rest the Jacobian falls into blocks, and λ may be that of one that the parameters never see:
    second moments v forget a change as αᵗ, so λ = ln α, however fast the parameters come to rest.
    So a second exponent is that of the parameters' part of w alone,

    $$\lambda_\theta = \lim_{T \to \infty} \frac1T \ln \frac{\|w^\theta_T\|}{\|w^\theta_0\|}
      \le \lambda .$$

    It is the largest exponent of the directions that reach the parameters (those that are
    observable in them): at rest, ln of the spectral radius of the block of parameters and momenta.
    Both exponents are equal where parameters and memory act on each other, as on a cycle.
    `phasejax.probes.scaling` says how both come from one tangent.

    Results have `growth_rate` and `growth_rate_params` per window; per cell, `lyapunov_exponent`
    (λ) and `lyapunov_params` (λ_θ) and their errors, `lyapunov_error` and `lyapunov_error_params`,
    in 1/step; divide by the learning rate for a rate per unit of time. The first quarter of the
    windows is left out. The error is the largest of the standard errors from means of blocks of
    1, 2, 4, … windows, as long as there are 8 blocks: it grows with the length of a block until
    blocks are longer than the correlations (Flyvbjerg and Petersen 1989, J. Chem. Phys. 91, 461).

    - w starts in the parameters, the same for all cells, and reaches the state by the steps. So a
      constant that an optimizer keeps in its state has no part in λ, and a second moment v that is
      zero has no tangent. At the end of each window, the parameters of w get a change of the
      relative size of rounding: no direction is lost by underflow.
    - λ does not depend on the units of parameters and moments; the first windows do.
    - Growth is inf in the window where a cell diverges, and nan from then on; its λ is nan.
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
        """Growth of the tangent per window, and of its parameters."""
        return {
            "growth_rate": Quantity("mean logarithmic growth of a tangent", "1/step"),
            "growth_rate_params": Quantity("the same of its parameters alone", "1/step"),
        }

    @property
    def cell_variables(self) -> Mapping[str, Quantity]:
        """Exponents and their errors."""
        return {
            "lyapunov_exponent": Quantity("largest Lyapunov exponent", "1/step"),
            "lyapunov_error": Quantity("standard error of the Lyapunov exponent", "1/step"),
            "lyapunov_params": Quantity("largest exponent seen in the parameters", "1/step"),
            "lyapunov_error_params": Quantity("standard error of lyapunov_params", "1/step"),
        }

    def start(self, params: PyTree, state: PyTree) -> PyTree:
        """Begin with a change of the parameters."""
        change = unit(drawn_like(params))
        zero = jnp.zeros((), jnp.int32)
        return Memory([*change, *zeros_like(state)], zero, jnp.log(norm(change)), zero, zero)

    def step(self, memory: PyTree, step: Step) -> PyTree:
        """Apply the Jacobian of a step, and divide by a power of two: that is exact."""
        moved = pushed(step, memory.tangent)
        moved, exponent, lowered = scaled(moved, _count(step.params), memory.lowered)
        alive = jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(step.following)]).all()
        # A cell that is lost has an infinite tangent; after the end of the window, inf / inf.
        lost = [x + jnp.inf for x in memory.tangent]
        moved = [jnp.where(alive, x, y) for x, y in zip(moved, lost, strict=True)]
        return memory._replace(tangent=moved, exponent=memory.exponent + exponent, lowered=lowered)

    def window(self, memory: PyTree, end: End) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Return the growth since the start of the window."""
        count, power = _count(end.params), np.log(2.0)
        whole = jnp.log(norm(memory.tangent))
        whole += (memory.exponent + memory.lowered - memory.before) * power
        own = jnp.log(norm(memory.tangent[:count])) + memory.exponent * power - memory.own
        rests = _rests(end)
        growth, growth_params = (jnp.where(rests, jnp.nan, x / end.length) for x in (whole, own))
        tangent = _nudged(unit(memory.tangent), end.params)
        following = Memory(
            tangent,
            jnp.zeros_like(memory.exponent),
            jnp.log(norm(tangent[:count])),
            memory.lowered,
            memory.lowered,
        )
        return following, {"growth_rate": growth, "growth_rate_params": growth_params}

    def describe(
        self, measured: Mapping[str, Float[np.ndarray, "cells window"]], edges: np.ndarray
    ) -> dict[str, Float[np.ndarray, " cells"]]:
        """Return exponents and errors from the windows before the first that is nan."""
        lengths = np.diff(edges)
        whole, error = _exponent(measured["growth_rate"], lengths)
        own, own_error = _exponent(measured["growth_rate_params"], lengths)
        return {
            "lyapunov_exponent": whole,
            "lyapunov_error": error,
            "lyapunov_params": own,
            "lyapunov_error_params": own_error,
        }


def _count(params: PyTree) -> int:
    """Number of arrays of a tangent that are of parameters."""
    return sum(map(has_tangent, jax.tree.leaves(params)))


def _nudged(tangent: Tangent, params: PyTree) -> Tangent:
    """Change the parameters' part of a tangent by its rounding."""
    count = _count(params)
    size = jnp.maximum(norm(tangent[:count]), 2.0**-DISTANCE * norm(tangent))
    change = unit(drawn_like(params))
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


def _exponent(
    growth: Float[np.ndarray, "cells window"], lengths: Int[np.ndarray, " window"]
) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
    """Return exponents and their errors; nan for a cell that diverges."""
    rates = np.asarray(growth, np.float64)
    known = np.logical_and.accumulate(~np.isnan(rates), axis=1).sum(axis=1)
    exponent, error = np.full((2, len(rates)), np.nan)
    for count in np.unique(known[known > 0]):
        cells = known == count
        first = int(BURN_IN * count)
        kept = rates[cells, first:count]
        exponent[cells], error[cells] = _estimate(kept, lengths[first:count])
    exponent[np.isposinf(rates).any(axis=1)] = np.nan
    return exponent, error


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
