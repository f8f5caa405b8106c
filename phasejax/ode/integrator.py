"""How the cells of a flow start and advance: every cell takes steps of its own length.

A cell that reaches the end of its window continues with the next one. A segment ends after a number
of attempted steps, wherever the cells are then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int, PyTree

from ..envelope import LOSSES, Envelope, begin
from ..factory import Factory
from ..program import Program
from .cell import Cell
from .state import RUNNING, TURNED_STIFF, FlowState, Portion, Shapes, Walk, live, ravel

ROWS = 32
"""Steps after which the statistics of completed windows are written to the envelopes.

Writing takes a scatter; with one after every step, XLA's CPU backend would not compile the loop
over the steps into one kernel.
"""


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
    def settings(self) -> tuple[tuple[str, Any], ...]:
        """Hyper-parameters that are compiled in."""
        return self.field.settings

    @property
    def trace(self) -> str:
        """Digest of what is computed, once that is known."""
        return self.field.trace

    def start(self, hyper: Mapping[str, Any], params: PyTree, noise: PyTree = ()) -> FlowState:
        """Return one cell at t = 0; its first segment computes slope and loss."""
        dtype = jnp.result_type(*jax.tree.leaves(params))
        zero, count = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
        y = ravel((params, self.field.build(hyper).init(params)))
        walk = Walk(
            y=y,
            slope=y,
            loss=zero,
            time=zero,
            step=zero,
            steps=count,
            window=count,
            span=begin(zero),
            error_sum=zero,
            path=zero,
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

        def of_cell(hyper: Mapping[str, Any]) -> Cell:
            field = self.field.build({**fixed, **hyper})
            return Cell(self.shapes, self.method, self.leave_stiff, field, loss, portion)

        begun = jax.vmap(lambda hyper, walk: of_cell(hyper).begun(walk))
        attempt = jax.vmap(lambda hyper, walk: of_cell(hyper).attempt(walk))

        def going(carry: PyTree) -> Bool[Array, ""]:
            done, walk, _ = carry
            return (done < portion.attempts) & jnp.any(
                live(walk.halted, walk.steps, walk.window, portion)
            )

        def advance_once(carry: PyTree) -> PyTree:
            done, walk, rows = carry
            window = walk.window
            walk, closed = attempt(hyper, walk)
            crossed = jnp.where(walk.window > window, window, self.windows)  # or out of range
            row, new = done % ROWS, (crossed, closed)
            rows = jax.tree.map(lambda all, one: all.at[row].set(one), rows, new)
            return done + 1, walk, rows

        def advance_some(carry: PyTree) -> PyTree:
            done, walk, envelope = carry
            end, cells = done + ROWS, jnp.arange(len(walk.window))
            rows = self._empty_rows(walk)
            done, walk, (crossed, closed) = lax.while_loop(
                lambda carry: going(carry) & (carry[0] < end), advance_once, (done, walk, rows)
            )
            envelope = jax.tree.map(
                lambda all, some: all.at[cells, crossed].set(some, mode="drop"), envelope, closed
            )
            return done, walk, envelope

        carry = jnp.zeros((), jnp.int32), begun(hyper, state.walk), state.envelope
        _, walk, envelope = lax.while_loop(going, advance_some, carry)
        return FlowState(walk, envelope), ()

    def _empty_rows(self, walk: Walk) -> tuple[Int[Array, "steps cells"], Envelope]:
        """Windows that cells crossed in each of `ROWS` steps, none so far, and their statistics."""
        shape = ROWS, len(walk.window)
        statistics = Envelope(*(jnp.zeros(shape, walk.time.dtype) for _ in LOSSES))
        return jnp.full(shape, self.windows, walk.window.dtype), statistics

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
