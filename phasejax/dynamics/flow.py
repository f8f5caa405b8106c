"""A flow to be swept: its vector field, the solver and its tolerances."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PyTree

from .._check import bad, choice, positive, whole
from .._types import Whole
from ..factory import Factory, Hyperparameters
from ..ode.integrator import Integrator, Portion
from ..ode.steppers import EXPLICIT, IMPLICIT
from ..ode.vector_field import VectorField

FIRST, STIFF_METHOD, STIFF_SIZE = "tsit5", "kvaerno5", 64
"""`auto` begins with the first method, and goes on with the second in cells that turn stiff, if no
more than so many numbers move: an implicit step solves a dense linear system of that size."""
MOST_STEPS = 2**31 - 1
LOOSEST = 1e-6
"""With looser tolerances steps err by a thousandth of their length where nothing is wrong, and the
solver's errors can no longer be told from the flow."""


@dataclass(frozen=True, eq=False)
class Flow(Factory):
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
        `"kvaerno4"` and `"kvaerno5"` implicit ones. `"auto"` takes Tsit5's, and on problems of few
        parameters Kvaerno5's from where a cell turns stiff.
    - `rtol`, `atol`: the error a step may make in each parameter (and moment) y is
        `rtol`·|y| + `atol`. Below some loss only the solver's errors are seen; that `loss_floor`
        is kept for each cell, and no label looks below it.
    - `max_steps`: steps that a cell may try. A cell that has used them up is `unresolved`.
    """

    solver: str = "auto"
    rtol: float = 1e-8
    atol: float = 1e-14
    max_steps: Whole = 200_000

    def check(self, dtype: str) -> None:
        """Refuse settings of the solver that make no sense."""
        if dtype != "float64":
            raise bad("dtype", dtype, "'float64' for a flow, whose solver errs by 1e-6 at most")
        choice("solver", self.solver, ("auto", *EXPLICIT, *IMPLICIT))
        least = 10 * float(np.finfo(dtype).eps)
        if not least <= self.rtol <= LOOSEST:
            raise bad("rtol", self.rtol, f"from {least:.1g} to {LOOSEST:g}")
        positive("atol", self.atol)
        whole("max_steps", self.max_steps, most=MOST_STEPS)

    def check_values(self, hyper: Hyperparameters) -> None:
        """Build the vector field once with plain numbers, so that it can refuse them."""
        field = self.build_plain(hyper)
        if not isinstance(field, VectorField):
            raise TypeError(
                f"dynamics = {self.name} returned {type(field).__name__}; with a time, it must "
                "return a phasejax.VectorField (an optimizer has steps and no time)"
            )

    def programs(self, hyper: Hyperparameters, params: PyTree, windows: int) -> list[Integrator]:
        """Return what is compiled: the methods that follow the flow, one after the other."""
        moving = params, self.build(hyper).init(params)
        size = sum(np.size(x) for x in jax.tree.leaves(moving))
        switches = self.solver == "auto" and size <= STIFF_SIZE
        first = FIRST if self.solver == "auto" else self.solver
        methods = [first, STIFF_METHOD] if switches else [first]
        return [
            Integrator(
                *(self.factory, self.settings, method, switches and method == first, windows),
                trace=self.trace,
            )
            for method in methods
        ]

    def portion(self, edges: Float[np.ndarray, " edges"], last: int, attempts: int) -> Portion:
        """Numbers of a call, in the dtype of `edges`."""
        return Portion(
            edges,
            np.asarray(last, np.int32),
            np.asarray(attempts, np.int32),
            np.asarray(self.rtol, edges.dtype),
            np.asarray(self.atol, edges.dtype),
            np.asarray(self.max_steps, np.int32),
        )

    @property
    def solver_config(self) -> dict[str, Any]:
        """What of the solver decides the bits of a result."""
        return {
            "solver": self.solver,
            "rtol": self.rtol,
            "atol": self.atol,
            "max_steps": int(self.max_steps),
        }
