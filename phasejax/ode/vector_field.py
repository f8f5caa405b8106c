"""A flow in the style of an optax optimizer: pure functions of parameters and state."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import PyTree

from .._types import Scalar


def absolute(state: PyTree, rtol: Scalar, atol: Scalar) -> PyTree:
    """Tolerate the same absolute error `atol` in every number of the state."""
    del state, rtol
    return atol


class VectorField(NamedTuple):
    """The right-hand side of a flow ẋ, ṡ = velocity(t, ∇f(x), s), and where s starts.

    - `init(params) -> state`: the state s at t = 0, such as moments; a PyTree of floating-point
      arrays, `()` if there is none.
    - `velocity(time, grads, state) -> (params_velocity, state_velocity)`: shaped like the
      parameters and the state. `time` is a scalar, zero at the start.
    - `tolerance(state, rtol, atol) -> tolerances`: absolute errors that the state may have per
      step, in addition to `rtol` times its size: a PyTree like the state or a prefix of it. By
      default `atol`, as for the parameters; give another one if the state has another unit.
    """

    init: Callable[[PyTree], PyTree]
    velocity: Callable[[Any, PyTree, PyTree], tuple[PyTree, PyTree]]
    tolerance: Callable[[PyTree, Any, Any], PyTree] = absolute
