"""One cell of a flow: its equation, and one attempted step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ..envelope import Envelope, FlowWindow, begin, close, extend
from ..problems.problem import lowest
from .state import STALLED, TURNED_STIFF, Portion, Shapes, Walk, live, ravel
from .steppers import EXPLICIT, Step, accept, order, rms, take
from .vector_field import VectorField

STIFF = 3.0
"""Step length × size of the Jacobian above which stability, not accuracy, limits a step.

Where accuracy limits it, the product is 0.1 to 1; with oscillations below the tolerance, 1 to 2.
"""
STIFF_STEPS = 25
"""A cell has turned stiff when its stiff steps, less half of the others, exceed this number."""
NOISE = 1e-3
"""A window shows the solver's errors, not the flow, if the errors of its steps add up to more than
this share of the distance that the parameters moved."""
LEAST_ERROR = 1e-2
"""Least error of a step, as a share of the tolerated error: lower estimates are unreliable."""


def norm(values: Float[Array, " size"]) -> Float[Array, ""]:
    """Euclidean length."""
    return jnp.sqrt(jnp.sum(values * values))


class Trial(NamedTuple):
    """A step to be tried.

    - `ready`: whether the cell still has steps to take.
    - `reaching`: whether the step ends where the window ends.
    - `length`: length of the step; `t1`: time of its end.
    - `share`: length of the step over that of the window.
    """

    ready: Bool[Array, ""]
    reaching: Bool[Array, ""]
    length: Float[Array, ""]
    t1: Float[Array, ""]
    share: Float[Array, ""]


class Cell(NamedTuple):
    """One cell's equation for the vector y: the parameters, then the state of the vector field.

    - `shapes`: structure of the parameters and of the state.
    - `method`: a name in `steppers`.
    - `leave_stiff`: halt the cell when it has turned stiff.
    - `field`: the right-hand side; `loss`: a function of the parameters.
    - `portion`: how far a segment goes.
    """

    shapes: Shapes
    method: str
    leave_stiff: bool
    field: VectorField
    loss: Any
    portion: Portion

    def unravel(self, y: Float[Array, " all"]) -> PyTree:
        """Return the parameters, and the state of the vector field."""
        return self.shapes.unravel(y)

    def params(self, values: Float[Array, " all"]) -> Float[Array, " size"]:
        """Return the entries that belong to the parameters."""
        return values[: self.shapes.params]

    def slope(self, time: Float[Array, ""], y: Float[Array, " all"]) -> Float[Array, " all"]:
        """Return the derivative of y."""
        params, state = self.unravel(y)
        return ravel(self.field.velocity(time, jax.grad(self.loss)(params), state))

    @property
    def minimum(self) -> Float[Array, ""] | None:
        """Return what is subtracted from the loss before its logarithm."""
        return None if lowest(self.loss) is None else jnp.asarray(lowest(self.loss))

    def value(self, y: Float[Array, " all"]) -> Float[Array, ""]:
        """Return the loss; if it is not finite, +inf, as in every envelope."""
        value = self.loss(self.unravel(y)[0]).astype(y.dtype)
        return jnp.where(jnp.isfinite(value), value, jnp.inf)

    def tolerated(self, y: Float[Array, " all"]) -> Float[Array, " all"]:
        """Return the errors that the entries of y may have per step."""
        params, state = self.unravel(y)
        rtol, atol = self.portion.rtol, self.portion.atol
        absolute = jax.tree.broadcast(
            (atol, self.field.tolerance(state, rtol, atol)), (params, state)
        )
        filled = jax.tree.map(lambda x, tol: jnp.full_like(x, tol), (params, state), absolute)
        return ravel(filled) + rtol * jnp.abs(y)

    def begun(self, walk: Walk) -> Walk:
        """Make a cell at t = 0 ready for its first step; leave others as they are.

        Slopes are kept from segment to segment, so that no bit depends on where a segment ends.
        """
        slope, loss = self.slope(walk.time, walk.y), self.value(walk.y)
        scale, whole = self.tolerated(walk.y), self.portion.edges[-1]
        first = 0.01 * jnp.maximum(rms(walk.y / scale), 1) / rms(slope / scale)
        first = jnp.where(first > 0, jnp.minimum(first, whole), whole)
        begins = walk._replace(slope=slope, loss=loss, step=first, span=begin(loss))
        return jax.tree.map(lambda a, b: jnp.where(walk.step == 0, a, b), begins, walk)

    def attempt(self, walk: Walk) -> tuple[Walk, Envelope]:
        """Try a step; returns the cell, and the envelope of its window as if that ended here."""
        trial = self.trial(walk)
        scale = self.tolerated(walk.y)
        new = take(self.method, self.slope, walk.time, trial.t1, walk.y, walk.slope, scale)
        # As in diffrax, the tolerated error is that of the larger of the two ends.
        scale = jnp.maximum(scale, self.tolerated(new.y))
        keep, step = self.controlled(walk, trial, new, scale)
        moved, span = self.moved(walk, trial, new, scale)
        stalled = trial.ready & (trial.t1 <= walk.time)
        stayed = walk._replace(
            steps=walk.steps + trial.ready,
            halted=jnp.where(stalled, STALLED, walk.halted),
        )
        walk = jax.tree.map(lambda a, b: jnp.where(keep & ~stalled, a, b), moved, stayed)
        step = jnp.where(trial.ready, step, walk.step)
        return walk._replace(step=step), close(span, self.minimum)

    def trial(self, walk: Walk) -> Trial:
        """Plan the next step: not beyond the end of the window."""
        edges = self.portion.edges
        ready = jnp.asarray(live(walk.halted, walk.steps, walk.window, self.portion))
        begins, ends = edges[walk.window], edges[walk.window + 1]
        reaching = ready & (walk.time + walk.step >= ends)
        length = jnp.where(reaching, ends - walk.time, walk.step)
        t1 = jnp.where(reaching, ends, walk.time + walk.step)
        return Trial(ready, reaching, length, t1, (t1 - walk.time) / (ends - begins))

    def controlled(
        self, walk: Walk, trial: Trial, new: Step, scale: Float[Array, " all"]
    ) -> tuple[Bool[Array, ""], Float[Array, ""]]:
        """Say whether a step is kept, and how long the next one is."""
        error = rms(jnp.where(jnp.isfinite(new.error), new.error / scale, jnp.inf))
        keep, factor = accept(error, order(self.method))
        keep, step = keep & trial.ready, trial.length * factor
        # A step cut at the end of the window does not shorten the next one.
        return keep, jnp.where(keep & trial.reaching, jnp.maximum(step, walk.step), step)

    def moved(
        self, walk: Walk, trial: Trial, new: Step, scale: Float[Array, " all"]
    ) -> tuple[Walk, FlowWindow]:
        """Return the cell after a step that is kept, and the statistics of its window."""
        reaching = trial.reaching
        losses = self.losses(walk, new, trial.t1 - walk.time)
        points = jnp.concatenate([walk.loss[None], losses])
        span = extend(walk.span, points, trial.share, self.minimum)
        path = walk.path + norm(self.params(new.y - walk.y))
        error = jnp.maximum(norm(self.params(new.error)), LEAST_ERROR * norm(self.params(scale)))
        error_sum = walk.error_sum + error
        high = span.maximum if self.minimum is None else span.maximum - self.minimum
        noise = jnp.where(reaching & (error_sum > NOISE * path), high, 0)
        stiff = jnp.where(new.stiffness > STIFF, walk.stiff + 2, jnp.maximum(walk.stiff - 1, 0))
        turned = self.leave_stiff & (stiff > 2 * STIFF_STEPS)
        moved = Walk(
            y=new.y,
            slope=new.slope,
            loss=losses[-1],
            time=trial.t1,
            step=walk.step,
            steps=walk.steps + 1,
            window=walk.window + reaching,
            span=jax.tree.map(lambda a, b: jnp.where(reaching, a, b), begin(losses[-1]), span),
            error_sum=jnp.where(reaching, 0, error_sum),
            path=jnp.where(reaching, 0, path),
            halted=jnp.where(turned, TURNED_STIFF, walk.halted),
            stiff=stiff,
            floor=jnp.maximum(walk.floor, noise),
        )
        return moved, span

    def losses(self, walk: Walk, new: Step, h: Float[Array, ""]) -> Float[Array, "2"]:
        """Losses half-way and at the end of a step.

        An explicit step is interpolated by the cubic with the slopes at its ends. An implicit step
        may be too long for these slopes to describe what is between, and is interpolated linearly.
        """
        part = jnp.array([0.5, 1.0], h.dtype)[:, None]
        y = walk.y + part * (new.y - walk.y)
        if self.method in EXPLICIT:
            rise = new.y - walk.y
            bend = (1 - part) * (h * walk.slope - rise) - part * (h * new.slope - rise)
            y = y + part * (1 - part) * bend
        return jax.vmap(self.value)(y)
