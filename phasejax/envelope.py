"""What is kept of a trajectory: statistics of the loss per window of steps.

They are gathered while the trajectory runs, so memory grows with cells × windows and not with
steps. `add` costs a few operations per step; no logarithm is among them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from ._types import AnyArray


class Envelope(NamedTuple):
    """Statistics of the loss, arrays `[..., window]`; a non-finite loss counts as +inf.

    - `loss_min`, `loss_max`, `loss_mean`: in units of the loss.
    - `log10_loss_mean`: mean of log10 of the loss less the problem's minimum, in decades; −inf
      where a loss in the window was at the minimum, +inf where one was not finite, nan where one
      was below the minimum by more than its rounding.
    - `relative_step`: how far the last step of the window moved the parameter that it moved most,
      over the largest that any parameter has been at the start or at the end of a window so far;
      nan where a loss was not finite or only the loss is known. `None` for flows.
    """

    loss_min: Float[AnyArray, "*cells window"]
    loss_max: Float[AnyArray, "*cells window"]
    loss_mean: Float[AnyArray, "*cells window"]
    log10_loss_mean: Float[AnyArray, "*cells window"]
    relative_step: Float[AnyArray, "*cells window"] | None = None


ROUNDING = 4.0
"""Losses below their minimum by less than so many roundings of it are at the minimum."""

LOSSES = Envelope._fields[:4]
"""What is kept of the loss; it is all that is known of a flow."""


class Solved(NamedTuple):
    """What is kept of the solver of a flow, arrays of the cells' shape; `SOLVED` says what each is.

    A cell whose `end_time` is short of the end used up its steps, or lost them in the rounding of
    t; its later windows are nan. `implicit_from` is nan where all steps were explicit.
    """

    solver_steps: Float[np.ndarray, "*cells"]
    end_time: Float[np.ndarray, "*cells"]
    implicit_from: Float[np.ndarray, "*cells"]
    loss_floor: Float[np.ndarray, "*cells"]


SOLVED = {
    "solver_steps": ("steps that the solver tried", "1"),
    "end_time": ("time that the solver reached", "time"),
    "implicit_from": ("time from which steps were implicit", "time"),
    "loss_floor": ("loss over the minimum below which only the solver's errors are seen", "loss"),
}


class Running(NamedTuple):
    """Statistics of an unfinished window; the product of its losses is mantissa · 2^exponent."""

    minimum: Float[Array, ""]
    maximum: Float[Array, ""]
    mean: Float[Array, ""]
    mantissa: Float[Array, ""]
    exponent: Int[Array, ""]


class Span(NamedTuple):
    """Statistics of an unfinished window of a flow; means are integrals over the whole window."""

    minimum: Float[Array, ""]
    maximum: Float[Array, ""]
    mean: Float[Array, ""]
    log10_mean: Float[Array, ""]


def edges(extent: float, windows: int) -> np.ndarray:
    """Borders of the windows of a run, `[windows + 1]`.

    Steps, an integer: the first step of each window and `extent`; lengths differ by at most one.
    Time, a float: evenly spaced from 0 to `extent`.
    """
    if isinstance(extent, int):
        return np.arange(windows + 1, dtype=np.int64) * extent // windows
    return np.linspace(0.0, extent, windows + 1)


def empty(dtype: jnp.dtype) -> Running:
    """Begin a window."""
    zero = jnp.zeros((), dtype)
    exponent = jnp.zeros((), _layout(dtype)[0])
    return Running(zero + jnp.inf, zero - jnp.inf, zero, zero + 1, exponent)


def excess(loss: ArrayLike, minimum: float, eps: float) -> Float[np.ndarray, "..."]:
    """Losses less their minimum, in float64; those within the minimum's rounding are zero.

    The minimum is rounded as the losses are.
    """
    loss = np.asarray(loss)
    over = np.asarray(loss.astype(np.float64) - float(loss.dtype.type(minimum)))
    return np.where(~_below(over, minimum, eps), np.maximum(over, 0), over)


def _below(over: Any, minimum: Any, eps: float) -> Any:
    """Say whether losses less their minimum are negative by more than the minimum's rounding."""
    return over < -ROUNDING * eps * abs(minimum)


def add(
    running: Running,
    loss: Float[Array, ""],
    weight: Float[Array, ""],
    minimum: Float[Array, ""] | None = None,
) -> Running:
    """Add one loss to a window of 1 / `weight` steps; `minimum` is subtracted for its logarithm.

    The mean of log10 comes from the product of all losses, held as a mantissa in [1, 2) and an
    integer exponent, so that it neither underflows nor overflows and the window needs a single
    logarithm. (A loss below the smallest normal number counts as zero.) A loss that is not finite
    is no minimum or maximum here, but spoils the mean, by which `finish` knows it.
    """
    integer, mantissa_bits, bias = _layout(loss.dtype)
    low, high, mean, mantissa, exponent = running
    over = loss if minimum is None else loss - minimum
    bits = jax.lax.bitcast_convert_type(mantissa * over, integer)
    mantissa = (bits & ((1 << mantissa_bits) - 1)) | (bias << mantissa_bits)
    return Running(
        jnp.where((loss < low) & (loss > -jnp.inf), loss, low),
        jnp.where(loss > high, loss, high),
        mean + loss * weight,
        jax.lax.bitcast_convert_type(mantissa, loss.dtype),
        exponent + (((bits >> mantissa_bits) & (2 * bias + 1)) - bias),
    )


def finish(
    running: Running,
    length: Int[Array, ""],
    relative_step: Float[Array, "*cells"] | None = None,
    minimum: Float[Array, ""] | None = None,
) -> Envelope:
    """End a window of `length` steps, with what is known of the parameters."""
    low, high, mean, mantissa, exponent = running
    lost = ~jnp.isfinite(mean)
    log10 = (exponent + jnp.log2(mantissa)) * (np.log10(2.0) / length)
    return Envelope(
        low,
        jnp.where(lost, jnp.inf, high),
        jnp.where(lost, jnp.inf, mean),
        jnp.where(lost, jnp.inf, _at_the_minimum(log10, low, minimum)),
        None if relative_step is None else jnp.where(lost, jnp.nan, relative_step),
    )


def _at_the_minimum(
    log10: Float[Array, "*cells"], low: Float[Array, "*cells"], minimum: Float[Array, ""] | None
) -> Float[Array, "*cells"]:
    """−inf for a window that touched the minimum, and nan for one that went below it."""
    if minimum is None:
        log10 = jnp.where(low == 0, -jnp.inf, log10)
        return jnp.where(low < 0, jnp.nan, log10)
    over = low - minimum
    log10 = jnp.where(over <= 0, -jnp.inf, log10)
    return jnp.where(_below(over, minimum, float(jnp.finfo(low.dtype).eps)), jnp.nan, log10)


def begin(loss: Float[Array, ""]) -> Span:
    """Begin a window of a flow where the loss is `loss`."""
    return Span(loss, loss, jnp.zeros_like(loss), jnp.zeros_like(loss))


SIMPSON = np.array([1, 4, 1]) / 6
"""Weights of the mean of three values at even times."""


def extend(
    span: Span,
    losses: Float[Array, "3"],
    share: Float[Array, ""],
    minimum: Float[Array, ""] | None = None,
) -> Span:
    """Add losses at three even times, from the last one added, that take a `share` of the window.

    Means are integrals over time by Simpson's rule.
    """
    over = losses if minimum is None else losses - minimum
    return Span(
        jnp.minimum(span.minimum, losses[1:].min()),
        jnp.maximum(span.maximum, losses[1:].max()),
        span.mean + share * (losses @ SIMPSON),
        span.log10_mean + share * (jnp.log10(over) @ SIMPSON),
    )


def close(span: Span, minimum: Float[Array, ""] | None = None) -> Envelope:
    """End a window of a flow."""
    log10 = _at_the_minimum(span.log10_mean, span.minimum, minimum)
    lost = span.maximum == jnp.inf
    return Envelope(
        span.minimum,
        span.maximum,
        jnp.where(lost, jnp.inf, span.mean),
        jnp.where(lost, jnp.inf, log10),
    )


def of_curve(
    loss: Float[np.ndarray, " steps"], windows: int, minimum: float = 0.0, eps: float = 0.0
) -> Envelope:
    """Envelope of a recorded curve, `[windows]`: the same statistics, of all losses at once.

    `eps` is the machine epsilon of the loss. How the parameters moved is not known.
    """
    loss = np.where(np.isfinite(loss), loss, np.inf)
    bounds = edges(len(loss), windows)
    starts, lengths = bounds[:-1], np.diff(bounds)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(excess(loss, minimum, eps))
        log10 = np.add.reduceat(logs, starts) / lengths
    maximum = np.maximum.reduceat(loss, starts)
    return Envelope(
        np.minimum.reduceat(loss, starts),
        maximum,
        np.add.reduceat(loss / np.repeat(lengths, lengths), starts),
        np.where(np.isinf(maximum), np.inf, log10),
        np.full(windows, np.nan),
    )


def _layout(dtype: jnp.dtype) -> tuple[jnp.dtype, int, int]:
    """Integer type, mantissa bits and exponent bias of an IEEE 754 format."""
    return {
        jnp.dtype("float64"): (jnp.dtype("int64"), 52, 1023),
        jnp.dtype("float32"): (jnp.dtype("int32"), 23, 127),
    }[jnp.dtype(dtype)]
