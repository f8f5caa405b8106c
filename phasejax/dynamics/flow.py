"""A flow as the dynamics of a cell: its vector field, the solver and its tolerances."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PyTree

from .._check import ArgumentError, bad, choice, positive, whole
from .._types import Whole
from ..envelope import LOSSES, SOLVED
from ..factory import Factory, Hyperparameters
from ..ode.integrator import Integrator
from ..ode.state import Portion, Shapes
from ..ode.steppers import EXPLICIT, IMPLICIT
from ..ode.vector_field import VectorField
from ..probes.base import Quantity
from ..problems.problem import Problem
from ..program import Program
from .base import Cost, Dynamics

FIRST = "tsit5"
"""The method with which `auto` begins."""
STIFF_METHOD = "kvaerno5"
"""The method with which `auto` continues cells that turn stiff."""
STIFF_SIZE = 64
"""`auto` changes the method only for states of at most this many entries: an implicit step solves a
dense linear system of that size."""
MOST_STEPS = 2**31 - 1
"""Largest `max_steps`: the largest 32-bit integer, by which a program counts."""
LOOSEST = 1e-6
"""Largest relative tolerance. With larger ones the errors of ordinary steps reach a thousandth of
their length, at which a window counts as solver errors (`ode.cell.NOISE`)."""
GRADIENTS = 5e4
"""Assumed gradients of a cell, about ten thousand steps; the true number is unknown before."""
NUMBERS = 16
"""Numbers that a step works on, per parameter: an explicit step has seven stages."""
BUSY_STEPS = 512
"""Steps that almost every cell takes; afterwards cells end one by one."""
BLOCKS = 8
"""Least blocks per device: small blocks stay full for longer while cells end one by one."""


@dataclass(frozen=True, eq=False)
class Flow(Dynamics):
    """A flow as the dynamics of a cell, solved by diffrax's methods with adaptive steps.

    ```python
    phasejax.sweep(problem, phasejax.Flow(phasejax.adam_flow, rtol=1e-6), grid, time=20.0)
    ```

    A function alone (`phasejax.adam_flow`) stands for `Flow(function)`.

    **Arguments:**

    - `factory`: a function of hyper-parameters that returns a `phasejax.VectorField`:
        `phasejax.adam_flow`, `phasejax.rmsprop_flow`, `phasejax.signgd_flow`, your own.
    - `settings`: arguments of `factory` that no grid varies. They are compiled in.
    - `solver`: `"tsit5"`, `"dopri5"`, `"dopri8"` and `"bosh3"` take explicit steps, `"kvaerno3"`,
        `"kvaerno4"` and `"kvaerno5"` implicit ones. `"auto"` begins with Tsit5, and on problems of
        few parameters continues with Kvaerno5 once a cell turns stiff.
    - `rtol`, `atol`: the error a step may make in each parameter (and moment) y is
        `rtol`·|y| + `atol`. Below some loss only the solver's errors are seen; results have this
        `loss_floor` for each cell, and labels ignore the loss below it.
    - `max_steps`: steps that a cell may try. A cell that has used them up is `unresolved`.
    """

    solver: str = "auto"
    rtol: float = 1e-8
    atol: float = 1e-14
    max_steps: Whole = 200_000

    unit = "time"

    def check_run(self, problem: Problem, horizon: float, windows: int, dtype: str) -> None:
        """Refuse settings that the solver cannot use, and mini-batches."""
        del windows
        positive("time", horizon)
        if dtype != "float64":
            raise bad("dtype", dtype, "'float64' for a flow, whose solver needs rtol <= 1e-6")
        choice("solver", self.solver, ("auto", *EXPLICIT, *IMPLICIT))
        least = 10 * float(np.finfo(dtype).eps)
        if not least <= self.rtol <= LOOSEST:
            raise bad("rtol", self.rtol, f"from {least:.1g} to {LOOSEST:g}")
        positive("atol", self.atol)
        whole("max_steps", self.max_steps, most=MOST_STEPS)
        if problem.batch_loss is not None:
            raise ArgumentError(
                "problem",
                f" = '{problem.name}' draws mini-batches, which a flow can't "
                "follow: leave batch_size, or batch_loss, out",
            )

    def check_values(self, hyper: Hyperparameters) -> None:
        """Build the vector field once with plain values, so that it can refuse them."""
        field = self.build_plain(hyper)
        if not isinstance(field, VectorField):
            raise TypeError(
                f"dynamics = {self.name} returned {type(field).__name__}; with a time, it must "
                "return a phasejax.VectorField (for an optimizer, give steps instead of time)"
            )

    def programs(self, hyper: Hyperparameters, params: PyTree, windows: int) -> list[Program]:
        """Return the methods that follow the flow, one after the other."""
        numbers = params, self.build(hyper).init(params)
        size = sum(np.size(x) for x in jax.tree.leaves(numbers))
        switches = self.solver == "auto" and size <= STIFF_SIZE
        first = FIRST if self.solver == "auto" else self.solver
        methods = [first, STIFF_METHOD] if switches else [first]
        field = Factory(self.factory, self.settings, trace=self.trace)
        shapes = Shapes.of(*numbers)
        return [Integrator(field, shapes, m, switches and m == first, windows) for m in methods]

    def portion(
        self, edges: Float[np.ndarray, " edges"], last: int, steps: int | None = None
    ) -> Portion:
        """Return the numbers of a segment, in the dtype of `edges`."""
        most = int(self.max_steps)
        return Portion(
            edges,
            np.asarray(last, np.int32),
            np.asarray(most if steps is None else steps, np.int32),
            np.asarray(self.rtol, edges.dtype),
            np.asarray(self.atol, edges.dtype),
            np.asarray(most, np.int32),
        )

    def cost(self, horizon: float) -> Cost:
        """Return an estimate: the number of steps is unknown before the run."""
        return Cost(GRADIENTS, NUMBERS, BUSY_STEPS, BLOCKS)

    @property
    def config(self) -> dict[str, Any]:
        """Settings of the solver that decide the bits of a result."""
        return {
            "solver": self.solver,
            "rtol": self.rtol,
            "atol": self.atol,
            "max_steps": int(self.max_steps),
        }

    @property
    def window_variables(self) -> tuple[str, ...]:
        """Statistics of the loss alone: a flow has no steps of the optimizer."""
        return LOSSES

    @property
    def cell_variables(self) -> Mapping[str, Quantity]:
        """Results of the solver: `SOLVED`."""
        return {name: Quantity(*of) for name, of in SOLVED.items()}
