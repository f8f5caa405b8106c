"""Statistics of the loss per window of a run.

They are computed during the run, so memory grows with cells × windows and not with steps. `add`
takes a few operations per step and no logarithm.
"""

from collections.abc import Mapping
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
      if a loss in the window was at the minimum, +inf if one was not finite, nan if one was below
      the minimum by more than its rounding.
    - `relative_step`: largest change of a parameter in the last step of the window, over the
      largest absolute value of a parameter at the start of the run and at the ends of all windows
      so far; nan if a loss was not finite or only the loss is known. `None` for flows.
    """

    loss_min: Float[AnyArray, "*cells window"]
    loss_max: Float[AnyArray, "*cells window"]
    loss_mean: Float[AnyArray, "*cells window"]
    log10_loss_mean: Float[AnyArray, "*cells window"]
    relative_step: Float[AnyArray, "*cells window"] | None = None


ROUNDING = 4.0
"""Losses below the minimum by at most this multiple of its rounding count as at the minimum."""

LOSSES = Envelope._fields[:4]
"""Fields of `Envelope` that describe the loss; a flow has no others."""


class Windows(NamedTuple):
    """What is known of each window of a run: of its loss, and what probes measured, by variable."""

    envelope: Envelope
    measured: Mapping[str, Float[AnyArray, "*cells window"]]


class Solved(NamedTuple):
    """Results of the solver of a flow, `[...]` like the cells; `SOLVED` describes each field.

    If `end_time` is less than the final time, the solver took its maximum number of steps, or its
    step fell below the rounding of t; later windows are nan. `implicit_from` is nan if all steps
    were explicit.
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
"""Long name and unit of each field of `Solved`."""


class StepWindow(NamedTuple):
    """Statistics of an unfinished window of steps.

    The product of its losses, less the minimum, is mantissa · 2^exponent.
    """

    minimum: Float[Array, ""]
    maximum: Float[Array, ""]
    mean: Float[Array, ""]
    mantissa: Float[Array, ""]
    exponent: Int[Array, ""]


class FlowWindow(NamedTuple):
    """Statistics of an unfinished window of a flow.

    Means are integrals over the time so far, divided by the length of the whole window.
    """

    minimum: Float[Array, ""]
    maximum: Float[Array, ""]
    mean: Float[Array, ""]
    log10_mean: Float[Array, ""]


def edges(extent: float, windows: int) -> np.ndarray:
    """Edges of the windows of a run, `[windows + 1]`.

    If `extent` is steps (an integer): the first step of each window, then `extent`; the lengths of
    windows differ by at most one. If `extent` is time (a float): evenly spaced from 0 to `extent`.
    """
    if isinstance(extent, int):
        return np.arange(windows + 1, dtype=np.int64) * extent // windows
    return np.linspace(0.0, extent, windows + 1)


def empty(dtype: jnp.dtype) -> StepWindow:
    """Begin a window of steps."""
    zero = jnp.zeros((), dtype)
    exponent = jnp.zeros((), _float_format(dtype)[0])
    return StepWindow(zero + jnp.inf, zero - jnp.inf, zero, zero + 1, exponent)


def excess(loss: ArrayLike, minimum: ArrayLike, eps: float) -> Float[np.ndarray, "..."]:
    """Losses less their minimum, in float64; zero if below it by no more than its rounding.

    The minimum is rounded to the dtype of the losses first.
    """
    loss = np.asarray(loss)
    minimum = np.asarray(minimum).astype(loss.dtype).astype(np.float64)
    over = np.asarray(loss.astype(np.float64) - minimum)
    below = _below(over, minimum, eps)
    raised = np.asarray(np.maximum(over, 0))
    return np.where(below, over, raised) if below.any() else raised


def _below(over: Any, minimum: Any, eps: float) -> Any:
    """Say whether losses less their minimum are negative by more than the minimum's rounding."""
    return over < -ROUNDING * eps * abs(minimum)


def add(
    running: StepWindow,
    loss: Float[Array, ""],
    weight: Float[Array, ""],
    minimum: Float[Array, ""] | None = None,
) -> StepWindow:
    """Add one loss to a window of 1 / `weight` steps; `minimum` is subtracted for the logarithm.

    The mean of log10 comes from the product of all losses, stored as a mantissa in [1, 2) and an
    integer exponent, so that it neither underflows nor overflows and a window needs only one
    logarithm. (A loss below the smallest normal number counts as zero.) Minimum and maximum skip
    nan and −inf; the mean becomes non-finite instead, by which `finish` detects them.
    """
    integer, mantissa_bits, bias = _float_format(loss.dtype)
    low, high, mean, mantissa, exponent = running
    over = loss if minimum is None else loss - minimum
    bits = jax.lax.bitcast_convert_type(mantissa * over, integer)
    mantissa = (bits & ((1 << mantissa_bits) - 1)) | (bias << mantissa_bits)
    return StepWindow(
        jnp.where((loss < low) & (loss > -jnp.inf), loss, low),
        jnp.where(loss > high, loss, high),
        mean + loss * weight,
        jax.lax.bitcast_convert_type(mantissa, loss.dtype),
        exponent + (((bits >> mantissa_bits) & (2 * bias + 1)) - bias),
    )


def finish(
    running: StepWindow,
    length: Int[Array, ""],
    relative_step: Float[Array, "*cells"] | None = None,
    minimum: Float[Array, ""] | None = None,
) -> Envelope:
    """End a window of `length` steps; `relative_step` is that of its last step, if known."""
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
    """Mean of log10; −inf for a window that touched the minimum, nan for one below it."""
    if minimum is None:
        log10 = jnp.where(low == 0, -jnp.inf, log10)
        return jnp.where(low < 0, jnp.nan, log10)
    over = low - minimum
    log10 = jnp.where(over <= 0, -jnp.inf, log10)
    return jnp.where(_below(over, minimum, float(jnp.finfo(low.dtype).eps)), jnp.nan, log10)


def begin(loss: Float[Array, ""]) -> FlowWindow:
    """Begin a window of a flow at the loss `loss`."""
    return FlowWindow(loss, loss, jnp.zeros_like(loss), jnp.zeros_like(loss))


def simpson(values: Float[Array, "3"]) -> Float[Array, ""]:
    """Mean of a function over an interval from its values at start, middle and end."""
    return (values[0] + 4 * values[1] + values[2]) / 6


def extend(
    span: FlowWindow,
    losses: Float[Array, "3"],
    share: Float[Array, ""],
    minimum: Float[Array, ""] | None = None,
) -> FlowWindow:
    """Add an interval that is the fraction `share` of the window, by Simpson's rule.

    `losses` are those at its start (the end of the interval before), middle and end.
    """
    over = losses if minimum is None else losses - minimum
    return FlowWindow(
        jnp.minimum(span.minimum, losses[1:].min()),
        jnp.maximum(span.maximum, losses[1:].max()),
        span.mean + share * simpson(losses),
        span.log10_mean + share * simpson(jnp.log10(over)),
    )


def close(span: FlowWindow, minimum: Float[Array, ""] | None = None) -> Envelope:
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
    """Envelope of a recorded curve, `[windows]`: the same statistics, from all losses at once.

    `eps` is the machine epsilon of the loss. `relative_step` is nan.
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


def _float_format(dtype: jnp.dtype) -> tuple[jnp.dtype, int, int]:
    """Integer type, mantissa bits and exponent bias of an IEEE 754 format."""
    return {
        jnp.dtype("float64"): (jnp.dtype("int64"), 52, 1023),
        jnp.dtype("float32"): (jnp.dtype("int32"), 23, 127),
    }[jnp.dtype(dtype)]
