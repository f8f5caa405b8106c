"""The state of a flow's cells, and how far a segment advances them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._types import AnyArray
from ..envelope import Envelope, FlowWindow

RUNNING = 0
"""Value of `Walk.halted`: the cell may take steps."""
TURNED_STIFF = 1
"""Value of `Walk.halted`: stability keeps the explicit method's steps short."""
STALLED = 2
"""Value of `Walk.halted`: the steps are smaller than the rounding of t."""


class Portion(NamedTuple):
    """How far a segment goes, and the settings of the solver.

    - `edges`: borders of the windows in time; cells run to the end of window `last` − 1.
    - `attempts`: most steps that a segment attempts.
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

    - `y`: the parameters and the state of the vector field, as a vector; `slope`: its derivative;
      `loss`: the loss at y.
    - `time`: time reached; `step`: length of the next step, 0 before the first one; `steps`:
      number of steps tried.
    - `window`: index of the current window; `span`: its statistics so far; `error_sum`, `path`:
      sums over it of the estimated errors and of the lengths of the parameters' steps.
    - `halted`: `RUNNING`, `TURNED_STIFF` or `STALLED`; `stiff`: counts towards `TURNED_STIFF`.
    - `floor`: largest loss, over the minimum, of a window that shows the solver's errors.
    """

    y: Float[Array, "*cells all"]
    slope: Float[Array, "*cells all"]
    loss: Float[Array, "*cells"]
    time: Float[Array, "*cells"]
    step: Float[Array, "*cells"]
    steps: Int[Array, "*cells"]
    window: Int[Array, "*cells"]
    span: FlowWindow
    error_sum: Float[Array, "*cells"]
    path: Float[Array, "*cells"]
    halted: Int[Array, "*cells"]
    stiff: Int[Array, "*cells"]
    floor: Float[Array, "*cells"]


class FlowState(NamedTuple):
    """Cells, and envelopes `[cells, windows]` of the windows that they completed."""

    walk: Walk
    envelope: Envelope


@dataclass(frozen=True)
class Shapes:
    """Structure, shapes and dtypes of the parameters and of the state of the vector field."""

    structure: Any
    leaves: tuple[tuple[tuple[int, ...], str], ...]
    params: int

    @classmethod
    def of(cls, params: PyTree, state: PyTree) -> "Shapes":
        """Describe one cell's parameters and the state of its vector field."""
        leaves, structure = jax.tree.flatten((params, state))
        described = tuple((np.shape(x), str(jnp.result_type(x))) for x in leaves)
        return cls(structure, described, sum(np.size(x) for x in jax.tree.leaves(params)))

    @property
    def unravel(self) -> Callable[[Float[Array, " all"]], PyTree]:
        """A function from a vector to the parameters and the state."""
        zeros = [jnp.zeros(shape, dtype) for shape, dtype in self.leaves]
        return ravel_pytree(jax.tree.unflatten(self.structure, zeros))[1]


def live(
    halted: Int[AnyArray, "*cells"],
    steps: Int[AnyArray, "*cells"],
    window: Int[AnyArray, "*cells"],
    portion: Portion,
) -> Bool[AnyArray, "*cells"]:
    """Say whether cells still have steps to take."""
    return (halted == RUNNING) & (steps < portion.max_steps) & (window < portion.last)


def ravel(tree: PyTree) -> Float[Array, " size"]:
    """Return the entries of all arrays of a tree as one vector."""
    return ravel_pytree(tree)[0]
