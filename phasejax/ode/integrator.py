"""How the cells of a flow start and advance: each lane takes steps of its own length.

Nobody waits: a lane that has reached the end of its window goes on with the next one, and a call
ends after a number of attempted steps, wherever the lanes are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._types import AnyArray
from ..envelope import LOSSES, Envelope, Span, begin, close, extend
from ..factory import Factory, Hyperparameters
from ..problems.problem import lowest
from .steppers import EXPLICIT, Step, accept, order, rms, take
from .vector_field import VectorField

STIFF, ENOUGH = 3.0, 25
"""Where h times the size of the Jacobian is above the first, stability holds a step short and not
accuracy, which would at 0.1 to 1. A cell has turned stiff when such steps outweigh the others, two
to one, by more than the second. Swings below the tolerance stay at 1 to 2, and explicit."""
NOISE, HIDDEN = 1e-3, 1e-2
"""A window shows the solver's errors and not the flow where the errors of its steps add up to more
than a thousandth of the way that the parameters went. A step's error counts as at least a hundredth
of what it may be: an estimate far below what is tolerated is not to be trusted."""
RUNNING, TURNED_STIFF, STALLED = 0, 1, 2


class Portion(NamedTuple):
    """How far a call goes, and the numbers that decide how.

    - `edges`: borders of the windows in time; cells run to the end of window `last` − 1.
    - `attempts`: most steps that a call attempts.
    - `rtol`, `atol`, `max_steps`: as in `phasejax.Flow`.
    """

    edges: Float[AnyArray, " edges"]
    last: Int[AnyArray, ""]
    attempts: Int[AnyArray, ""]
    rtol: Float[AnyArray, ""]
    atol: Float[AnyArray, ""]
    max_steps: Int[AnyArray, ""]


class Lane(NamedTuple):
    """A cell on its way, `[cells]` of each.

    - `y`: parameters and what moves beside them, with their `slope`, a vector, and the `loss`.
      `time` is where they are, `step` the length of the next step to try (0 before the first),
      `steps` how many were tried.
    - `window`: the window that `span` is the beginning of; windows before it are in `envelope`,
      `[cells, windows]`. `unsure`, `way`: errors and steps of the parameters, summed over it.
    - `halted`: `RUNNING`, `TURNED_STIFF` or `STALLED` (steps are lost in the rounding of t);
      `stiff` counts towards the second.
    - `floor`: largest loss, over the minimum, of a window that shows the solver's errors.
    """

    y: PyTree[Float[Array, "cells ..."]]
    slope: Float[Array, "cells all"]
    loss: Float[Array, " cells"]
    time: Float[Array, " cells"]
    step: Float[Array, " cells"]
    steps: Int[Array, " cells"]
    window: Int[Array, " cells"]
    span: Span
    unsure: Float[Array, " cells"]
    way: Float[Array, " cells"]
    halted: Int[Array, " cells"]
    stiff: Int[Array, " cells"]
    floor: Float[Array, " cells"]
    envelope: Envelope


@dataclass(frozen=True, eq=False)
class Integrator(Factory):
    """A flow's vector field and the method that follows it; all else are numbers.

    **Arguments:**

    - `factory`, `settings`: as in `phasejax.Flow`.
    - `method`: a name in `steppers`.
    - `leave_stiff`: halt a cell in which stability, not accuracy, keeps the steps short.
    - `windows`: windows of the run.
    """

    method: str = "tsit5"
    leave_stiff: bool = False
    windows: int = 1

    def start(self, hyper: Hyperparameters, params: PyTree, noise: PyTree = ()) -> Lane:
        """Return one cell at t = 0; a flow has no `noise`."""
        dtype = jnp.result_type(*jax.tree.leaves(params))
        zero, count = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
        empty = Envelope(*(jnp.full(self.windows, jnp.nan, dtype) for _ in LOSSES))
        y = params, self.build(hyper).init(params)
        return Lane(
            y=y,
            slope=_ravel(y),  # the first call knows it, and the loss
            loss=zero,
            time=zero,
            step=zero,
            steps=count,
            window=count,
            span=begin(zero),
            unsure=zero,
            way=zero,
            halted=count,
            stiff=count,
            floor=zero,
            envelope=empty,
        )

    def advance(
        self,
        loss: Any,
        fixed: Hyperparameters,
        hyper: Hyperparameters,
        state: Lane,
        portion: Portion,
    ) -> tuple[Lane, tuple[()]]:
        """Advance cells by at most `portion.attempts` steps; `hyper` and `state`: `[cells]`."""
        (_, unravel), ravel = ravel_pytree(jax.tree.map(lambda x: x[0], state.y)), _ravel
        size = sum(x[0].size for x in jax.tree.leaves(state.y[0]))

        def of_cell(hyper: Hyperparameters) -> "_Cell":
            return _Cell(self, self.build({**fixed, **hyper}), loss, unravel, size, portion)

        def begun(hyper, lane):
            return of_cell(hyper).begun(lane)

        def attempt(hyper, lane):
            return of_cell(hyper).attempt(lane)

        def going(carry):
            done, lanes, _ = carry
            busy = live(lanes.halted, lanes.steps, lanes.window, portion)
            return (done < portion.attempts) & jnp.any(busy)

        def turn(carry):
            done, lanes, envelope = carry
            window = lanes.window
            lanes, closed = jax.vmap(attempt)(hyper, lanes)
            crossed = jnp.where(lanes.window > window, window, self.windows)  # or nowhere
            rows = jnp.arange(len(window))
            envelope = jax.tree.map(
                lambda all, one: all.at[rows, crossed].set(one, mode="drop"), envelope, closed
            )
            return done + 1, lanes, envelope

        # What a lane writes rarely stays out of what it carries from step to step.
        envelope, state = state.envelope, state._replace(y=jax.vmap(ravel)(state.y), envelope=())
        carry = jnp.zeros((), jnp.int32), jax.vmap(begun)(hyper, state), envelope
        _, state, envelope = lax.while_loop(going, turn, carry)
        return state._replace(y=jax.vmap(unravel)(state.y), envelope=envelope), ()


def live(
    halted: Int[AnyArray, "*cells"],
    steps: Int[AnyArray, "*cells"],
    window: Int[AnyArray, "*cells"],
    portion: Portion,
) -> Bool[AnyArray, "*cells"]:
    """Say whether cells still have steps to take."""
    return (halted == RUNNING) & (steps < portion.max_steps) & (window < portion.last)


def norm(values: Float[Array, " size"]) -> Float[Array, ""]:
    """Euclidean length."""
    return jnp.sqrt(jnp.sum(values * values))


def _ravel(tree: PyTree) -> Float[Array, " size"]:
    return ravel_pytree(tree)[0]


class _Cell(NamedTuple):
    """One cell's equation, on vectors: `size` parameters and then what moves beside them."""

    integrator: Integrator
    field: VectorField
    loss: Any
    unravel: Callable
    size: int
    portion: Portion

    def slope(self, time: Float[Array, ""], y: Float[Array, " all"]) -> Float[Array, " all"]:
        params, state = self.unravel(y)
        return _ravel(self.field.velocity(time, jax.grad(self.loss)(params), state))

    @property
    def minimum(self) -> Float[Array, ""] | None:
        """Return what is subtracted from the loss before its logarithm."""
        return None if lowest(self.loss) is None else jnp.asarray(lowest(self.loss))

    def value(self, y: Float[Array, " all"]) -> Float[Array, ""]:
        """Return the loss; what is not a number counts as infinite, as in every envelope."""
        value = self.loss(self.unravel(y)[0]).astype(y.dtype)
        return jnp.where(jnp.isfinite(value), value, jnp.inf)

    def tolerated(self, y: Float[Array, " all"]) -> Float[Array, " all"]:
        """Return the errors that the numbers of y may have per step."""
        params, state = self.unravel(y)
        rtol, atol = self.portion.rtol, self.portion.atol
        absolute = jax.tree.broadcast(
            (atol, self.field.tolerance(state, rtol, atol)), (params, state)
        )
        filled = jax.tree.map(lambda x, tol: jnp.full_like(x, tol), (params, state), absolute)
        return _ravel(filled) + rtol * jnp.abs(y)

    def begun(self, lane: Lane) -> Lane:
        """Make a lane at t = 0 ready for its first step; leave others as they are.

        Slopes are handed on from call to call, so that no bit depends on where a call ends.
        """
        slope, loss = self.slope(lane.time, lane.y), self.value(lane.y)
        scale, whole = self.tolerated(lane.y), self.portion.edges[-1]
        first = 0.01 * jnp.maximum(rms(lane.y / scale), 1) / rms(slope / scale)
        first = jnp.where(first > 0, jnp.minimum(first, whole), whole)
        begins = lane._replace(slope=slope, loss=loss, step=first, span=begin(loss))
        return jax.tree.map(lambda a, b: jnp.where(lane.step == 0, a, b), begins, lane)

    def attempt(self, lane: Lane) -> tuple[Lane, Envelope]:
        """Try a step, not beyond the window's end; returns also the window, were it at its end."""
        method, edges = self.integrator.method, self.portion.edges
        ready = live(lane.halted, lane.steps, lane.window, self.portion)
        begins, ends = edges[lane.window], edges[lane.window + 1]
        reaching = ready & (lane.time + lane.step >= ends)
        tried = jnp.where(reaching, ends - lane.time, lane.step)
        t1 = jnp.where(reaching, ends, lane.time + lane.step)
        scale = self.tolerated(lane.y)
        new = take(method, self.slope, lane.time, t1, lane.y, lane.slope, scale)
        # As in diffrax, relative to the larger of the two ends.
        scale = jnp.maximum(scale, self.tolerated(new.y))
        error = rms(jnp.where(jnp.isfinite(new.error), new.error / scale, jnp.inf))
        keep, factor = accept(error, order(method))
        stalled = ready & (t1 <= lane.time)
        keep, step = keep & ready & ~stalled, tried * factor
        # A step that was cut at the end of the window says nothing against its full length.
        step = jnp.where(keep & reaching, jnp.maximum(step, lane.step), step)

        losses = self.losses(lane, new, t1 - lane.time)
        share = (t1 - lane.time) / (ends - begins)
        span = extend(lane.span, jnp.concatenate([lane.loss[None], losses]), share, self.minimum)
        way = lane.way + norm((new.y - lane.y)[: self.size])
        unsure = jnp.maximum(norm(new.error[: self.size]), HIDDEN * norm(scale[: self.size]))
        unsure = lane.unsure + unsure
        high = span.maximum if self.minimum is None else span.maximum - self.minimum
        noise = jnp.where(reaching & (unsure > NOISE * way), high, 0)
        stiff = jnp.where(new.stiffness > STIFF, lane.stiff + 2, jnp.maximum(lane.stiff - 1, 0))
        turned = self.integrator.leave_stiff & (stiff > 2 * ENOUGH)
        kept = Lane(
            y=new.y,
            slope=new.slope,
            loss=losses[-1],
            time=t1,
            step=step,
            steps=lane.steps + 1,
            window=lane.window + reaching,
            span=jax.tree.map(lambda a, b: jnp.where(reaching, a, b), begin(losses[-1]), span),
            unsure=jnp.where(reaching, 0, unsure),
            way=jnp.where(reaching, 0, way),
            halted=jnp.where(turned, TURNED_STIFF, lane.halted),
            stiff=stiff,
            floor=jnp.maximum(lane.floor, noise),
            envelope=lane.envelope,
        )
        missed = lane._replace(
            step=jnp.where(ready, step, lane.step),
            steps=lane.steps + ready,
            halted=jnp.where(stalled, STALLED, lane.halted),
        )
        lane = jax.tree.map(lambda a, b: jnp.where(keep, a, b), kept, missed)
        return lane, close(span, self.minimum)

    def losses(self, lane: Lane, new: Step, h: Float[Array, ""]) -> Float[Array, " points"]:
        """Losses half-way and at the end of a step.

        Between its ends an explicit step is a cubic with the right slopes. An implicit one may be
        so long that its slopes say nothing about what is between, and is a straight line.
        """
        part = jnp.array([0.5, 1.0], h.dtype)[:, None]
        y = lane.y + part * (new.y - lane.y)
        if self.integrator.method in EXPLICIT:
            rise = new.y - lane.y
            bend = (1 - part) * (h * lane.slope - rise) - part * (h * new.slope - rise)
            y = y + part * (1 - part) * bend
        return jax.vmap(self.value)(y)
