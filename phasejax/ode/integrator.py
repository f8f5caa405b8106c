"""How the cells of a flow start and advance: every cell takes steps of its own length.

A cell that reaches the end of its window continues with the next one. A call ends after a number of
attempted steps, wherever the cells are then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._types import AnyArray
from ..envelope import LOSSES, Envelope, Span, begin, close, extend
from ..factory import Factory
from ..problems.problem import lowest
from ..program import Program
from .steppers import EXPLICIT, Step, accept, order, rms, take
from .vector_field import VectorField

STIFF = 3.0
"""A step is short because of stability, not accuracy, where h times the size of the Jacobian is
above this; accuracy alone keeps it at 0.1 to 1, and swings below the tolerance at 1 to 2."""
ENOUGH = 25
"""A cell has turned stiff when stiff steps outweigh the others, two to one, by more than this."""
NOISE = 1e-3
"""A window shows the solver's errors and not the flow where the errors of its steps add up to more
than this share of the way that the parameters went."""
HIDDEN = 1e-2
"""An error counts as at least this share of the tolerated one: smaller estimates are unreliable."""
RUNNING, TURNED_STIFF, STALLED = 0, 1, 2
"""Values of `Walk.halted`. Stalled: the steps are smaller than the rounding of t."""


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


class Walk(NamedTuple):
    """Where cells are, `[cells]` of each.

    - `y`: the parameters and what moves besides them, as a vector; `slope`: its derivative;
      `loss`: the loss there.
    - `time`: where they are; `step`: length of the next step to try, 0 before the first one;
      `steps`: how many were tried.
    - `window`: the window that they are in; `span`: its statistics so far; `unsure`, `way`: errors
      and steps of the parameters, summed over it.
    - `halted`: `RUNNING`, `TURNED_STIFF` or `STALLED`; `stiff` counts towards the second.
    - `floor`: largest loss, over the minimum, of a window that shows the solver's errors.
    """

    y: Float[Array, "*cells all"]
    slope: Float[Array, "*cells all"]
    loss: Float[Array, "*cells"]
    time: Float[Array, "*cells"]
    step: Float[Array, "*cells"]
    steps: Int[Array, "*cells"]
    window: Int[Array, "*cells"]
    span: Span
    unsure: Float[Array, "*cells"]
    way: Float[Array, "*cells"]
    halted: Int[Array, "*cells"]
    stiff: Int[Array, "*cells"]
    floor: Float[Array, "*cells"]


class FlowState(NamedTuple):
    """Cells, and envelopes `[cells, windows]` of the windows that they completed."""

    walk: Walk
    envelope: Envelope


@dataclass(frozen=True)
class Shapes:
    """Structure, shapes and dtypes of the parameters and of what moves besides them."""

    structure: Any
    leaves: tuple[tuple[tuple[int, ...], str], ...]
    params: int

    @classmethod
    def of(cls, params: PyTree, moving: PyTree) -> "Shapes":
        """Describe one cell's parameters and what moves besides them."""
        leaves, structure = jax.tree.flatten((params, moving))
        described = tuple((np.shape(x), str(jnp.result_type(x))) for x in leaves)
        return cls(structure, described, sum(np.size(x) for x in jax.tree.leaves(params)))

    @property
    def unravel(self) -> Callable[[Float[Array, " all"]], PyTree]:
        """A function from a vector to the parameters and what moves besides them."""
        zeros = [jnp.zeros(shape, dtype) for shape, dtype in self.leaves]
        return ravel_pytree(jax.tree.unflatten(self.structure, zeros))[1]


@dataclass(frozen=True)
class Integrator(Program):
    """A flow's vector field and the method that follows it.

    **Arguments:**

    - `field`: a function of hyper-parameters that returns a `VectorField`.
    - `shapes`: of one cell.
    - `method`: a name in `steppers`.
    - `leave_stiff`: halt a cell in which stability, not accuracy, keeps the steps short.
    - `windows`: windows of the run.
    """

    field: Factory
    shapes: Shapes
    method: str = "tsit5"
    leave_stiff: bool = False
    windows: int = 1

    @property
    def trace(self) -> str:
        """Digest of what is computed, once that is known."""
        return self.field.trace

    def start(self, hyper: Mapping[str, Any], params: PyTree, noise: PyTree = ()) -> FlowState:
        """Return one cell at t = 0. Its first call computes slope and loss."""
        dtype = jnp.result_type(*jax.tree.leaves(params))
        zero, count = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
        y = _ravel((params, self.field.build(hyper).init(params)))
        walk = Walk(
            y=y,
            slope=y,
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
        )
        return FlowState(walk, Envelope(*(jnp.full(self.windows, jnp.nan, dtype) for _ in LOSSES)))

    def params_of(self, state: FlowState) -> PyTree:
        """Return the parameters that a state holds."""
        return jax.vmap(self.shapes.unravel)(state.walk.y)[0]

    def advance(
        self,
        loss: Any,
        fixed: Mapping[str, Any],
        hyper: Mapping[str, Any],
        state: FlowState,
        portion: Portion,
    ) -> tuple[FlowState, tuple[()]]:
        """Advance cells by at most `portion.attempts` steps; `hyper` and `state`: `[cells]`."""

        def of_cell(hyper: Mapping[str, Any]) -> "_Cell":
            return _Cell(self, self.field.build({**fixed, **hyper}), loss, portion)

        begun = jax.vmap(lambda hyper, walk: of_cell(hyper).begun(walk))
        attempt = jax.vmap(lambda hyper, walk: of_cell(hyper).attempt(walk))

        def going(carry: PyTree) -> Bool[Array, ""]:
            done, walk, _ = carry
            return (done < portion.attempts) & jnp.any(
                live(walk.halted, walk.steps, walk.window, portion)
            )

        def turn(carry: PyTree) -> PyTree:
            done, walk, envelope = carry
            window = walk.window
            walk, closed = attempt(hyper, walk)
            crossed = jnp.where(walk.window > window, window, self.windows)  # or out of range
            rows = jnp.arange(len(window))
            envelope = jax.tree.map(
                lambda all, one: all.at[rows, crossed].set(one, mode="drop"), envelope, closed
            )
            return done + 1, walk, envelope

        carry = jnp.zeros((), jnp.int32), begun(hyper, state.walk), state.envelope
        _, walk, envelope = lax.while_loop(going, turn, carry)
        return FlowState(walk, envelope), ()

    def stopped(self, state: FlowState, last: int) -> str:
        """Say why the first cell stopped before the end of window `last` − 1, or ""."""
        walk = state.walk
        if int(walk.window[0]) >= last:
            return ""
        return f"the solver stopped at t = {float(walk.time[0]):g} after {int(walk.steps[0])} steps"

    def take_over(self, state: FlowState) -> FlowState:
        """Let cells that have turned stiff run again, by this method."""
        halted: Any = np.asarray(state.walk.halted)
        halted = np.where(halted == TURNED_STIFF, np.int32(RUNNING), halted)
        return state._replace(walk=state.walk._replace(halted=halted))


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


class _Trial(NamedTuple):
    """A step to be tried.

    - `ready`: whether the cell still has steps to take.
    - `reaching`: whether the step ends with the window; `length`: its length, `t1` its end.
    - `share`: its share of the window.
    """

    ready: Bool[Array, ""]
    reaching: Bool[Array, ""]
    length: Float[Array, ""]
    t1: Float[Array, ""]
    share: Float[Array, ""]


class _Cell(NamedTuple):
    """One cell's equation, on vectors: the parameters and then what moves besides them."""

    integrator: Integrator
    field: VectorField
    loss: Any
    portion: Portion

    def unravel(self, y: Float[Array, " all"]) -> PyTree:
        """Return the parameters and what moves besides them."""
        return self.integrator.shapes.unravel(y)

    def params(self, values: Float[Array, " all"]) -> Float[Array, " size"]:
        """Return the entries of the parameters alone."""
        return values[: self.integrator.shapes.params]

    def slope(self, time: Float[Array, ""], y: Float[Array, " all"]) -> Float[Array, " all"]:
        """Return the derivative of y."""
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
        """Return the errors that the entries of y may have per step."""
        params, state = self.unravel(y)
        rtol, atol = self.portion.rtol, self.portion.atol
        absolute = jax.tree.broadcast(
            (atol, self.field.tolerance(state, rtol, atol)), (params, state)
        )
        filled = jax.tree.map(lambda x, tol: jnp.full_like(x, tol), (params, state), absolute)
        return _ravel(filled) + rtol * jnp.abs(y)

    def begun(self, walk: Walk) -> Walk:
        """Make a cell at t = 0 ready for its first step; leave others as they are.

        Slopes are kept from call to call, so that no bit depends on where a call ends.
        """
        slope, loss = self.slope(walk.time, walk.y), self.value(walk.y)
        scale, whole = self.tolerated(walk.y), self.portion.edges[-1]
        first = 0.01 * jnp.maximum(rms(walk.y / scale), 1) / rms(slope / scale)
        first = jnp.where(first > 0, jnp.minimum(first, whole), whole)
        begins = walk._replace(slope=slope, loss=loss, step=first, span=begin(loss))
        return jax.tree.map(lambda a, b: jnp.where(walk.step == 0, a, b), begins, walk)

    def attempt(self, walk: Walk) -> tuple[Walk, Envelope]:
        """Try a step. Returns also the envelope of the window, as if it ended here."""
        trial = self.trial(walk)
        scale = self.tolerated(walk.y)
        method = self.integrator.method
        new = take(method, self.slope, walk.time, trial.t1, walk.y, walk.slope, scale)
        # As in diffrax, relative to the larger of the two ends.
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

    def trial(self, walk: Walk) -> _Trial:
        """Plan the next step: not beyond the end of the window."""
        edges = self.portion.edges
        ready = jnp.asarray(live(walk.halted, walk.steps, walk.window, self.portion))
        begins, ends = edges[walk.window], edges[walk.window + 1]
        reaching = ready & (walk.time + walk.step >= ends)
        length = jnp.where(reaching, ends - walk.time, walk.step)
        t1 = jnp.where(reaching, ends, walk.time + walk.step)
        return _Trial(ready, reaching, length, t1, (t1 - walk.time) / (ends - begins))

    def controlled(
        self, walk: Walk, trial: _Trial, new: Step, scale: Float[Array, " all"]
    ) -> tuple[Bool[Array, ""], Float[Array, ""]]:
        """Say whether a step is kept, and how long the next one is."""
        error = rms(jnp.where(jnp.isfinite(new.error), new.error / scale, jnp.inf))
        keep, factor = accept(error, order(self.integrator.method))
        keep, step = keep & trial.ready, trial.length * factor
        # A step that was cut at the end of the window says nothing against its full length.
        return keep, jnp.where(keep & trial.reaching, jnp.maximum(step, walk.step), step)

    def moved(
        self, walk: Walk, trial: _Trial, new: Step, scale: Float[Array, " all"]
    ) -> tuple[Walk, Span]:
        """Return the cell after a step that is kept, and the statistics of its window."""
        reaching = trial.reaching
        losses = self.losses(walk, new, trial.t1 - walk.time)
        points = jnp.concatenate([walk.loss[None], losses])
        span = extend(walk.span, points, trial.share, self.minimum)
        way = walk.way + norm(self.params(new.y - walk.y))
        error = jnp.maximum(norm(self.params(new.error)), HIDDEN * norm(self.params(scale)))
        unsure = walk.unsure + error
        high = span.maximum if self.minimum is None else span.maximum - self.minimum
        noise = jnp.where(reaching & (unsure > NOISE * way), high, 0)
        stiff = jnp.where(new.stiffness > STIFF, walk.stiff + 2, jnp.maximum(walk.stiff - 1, 0))
        turned = self.integrator.leave_stiff & (stiff > 2 * ENOUGH)
        moved = Walk(
            y=new.y,
            slope=new.slope,
            loss=losses[-1],
            time=trial.t1,
            step=walk.step,
            steps=walk.steps + 1,
            window=walk.window + reaching,
            span=jax.tree.map(lambda a, b: jnp.where(reaching, a, b), begin(losses[-1]), span),
            unsure=jnp.where(reaching, 0, unsure),
            way=jnp.where(reaching, 0, way),
            halted=jnp.where(turned, TURNED_STIFF, walk.halted),
            stiff=stiff,
            floor=jnp.maximum(walk.floor, noise),
        )
        return moved, span

    def losses(self, walk: Walk, new: Step, h: Float[Array, ""]) -> Float[Array, "2"]:
        """Losses half-way and at the end of a step.

        Between its ends an explicit step is a cubic with the right slopes. An implicit one may be
        so long that its slopes say nothing about what is between, and is a straight line.
        """
        part = jnp.array([0.5, 1.0], h.dtype)[:, None]
        y = walk.y + part * (new.y - walk.y)
        if self.integrator.method in EXPLICIT:
            rise = new.y - walk.y
            bend = (1 - part) * (h * walk.slope - rise) - part * (h * new.slope - rise)
            y = y + part * (1 - part) * bend
        return jax.vmap(self.value)(y)
