"""One step of an ordinary differential equation by diffrax's methods, explicit and implicit.

A step is diffrax's Butcher tableau written out stage by stage, which compiles to less than the loop
over the stages of `diffrax.Tsit5.step`, and takes the same steps as `diffrax.diffeqsolve`
(tests/test_flows.py compares them). The implicit methods need it too: lineax, with which diffrax
solves their equations, does not work in `jax.shard_map` (patrick-kidger/lineax, issue 185).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

Numbers = Float[Array, " size"]
Scalar = Float[Array, ""]
Slope = Callable[[Scalar, Numbers], Numbers]
"""The derivative of y, from t and y."""

EXPLICIT = {"bosh3": "Bosh3", "tsit5": "Tsit5", "dopri5": "Dopri5", "dopri8": "Dopri8"}
"""Explicit methods: their names in diffrax by ours."""
IMPLICIT = {"kvaerno3": "Kvaerno3", "kvaerno4": "Kvaerno4", "kvaerno5": "Kvaerno5"}
"""Implicit methods: the same."""
NEAR = 1e-2
"""Newton's method has converged once a step is less than this share of the tolerated error."""
NEWTON_STEPS = 10
"""Most steps of Newton's method, after which it has failed."""


class Step(NamedTuple):
    """Result of one step from t to t1 = t + h.

    - `y`, `slope`: the solution and its slope at t1.
    - `error`: estimated error of y, not finite if the step failed.
    - `stiffness`: h times the size of the Jacobian, along the last stages; 0 if not known.
    """

    y: Numbers
    slope: Numbers
    error: Numbers
    stiffness: Scalar


def solver(method: str) -> Any:
    """Return diffrax's class of a method."""
    import diffrax  # a third of a second, which sweeps of optimizers do not need

    return getattr(diffrax, (EXPLICIT | IMPLICIT)[method])


@cache
def order(method: str) -> int:
    """Order of a method."""
    return int(solver(method)().order(None))


def take(
    method: str, slope: Slope, t: Scalar, t1: Scalar, y: Numbers, first: Numbers, scale: Numbers
) -> Step:
    """Take one step; `first` is the slope at (t, y) and `scale` the error that y may have."""
    step = _explicit if method in EXPLICIT else _implicit
    return step(method, slope, t, t1, y, first, scale)


def _explicit(
    method: str, slope: Slope, t: Scalar, t1: Scalar, y: Numbers, first: Numbers, scale: Numbers
) -> Step:
    tableau = solver(method).tableau
    h = t1 - t
    stages, places = [first], [y]
    for weights, c in zip(tableau.a_lower, tableau.c, strict=True):
        place = y + h * _combine(weights, stages)
        stages.append(slope(t1 if c == 1 else t + c * h, place))
        places.append(place)
    stiffness = jnp.zeros((), y.dtype)
    if tableau.c[-2] == 1:  # two stages at t1: distance of their slopes over that of their places
        turn, apart = stages[-1] - stages[-2], places[-1] - places[-2]
        stiffness = h * rms(turn / scale) / jnp.maximum(rms(apart / scale), jnp.finfo(y.dtype).tiny)
    # The last stage is the solution: the tableaus here are FSAL.
    return Step(places[-1], stages[-1], h * _combine(tableau.b_error, stages), stiffness)


def _combine(weights: np.ndarray, stages: list[Numbers]) -> Numbers:
    return sum(float(w) * k for w, k in zip(weights, stages, strict=True) if w)  # pyright: ignore


def _implicit(
    method: str, slope: Slope, t: Scalar, t1: Scalar, y: Numbers, first: Numbers, scale: Numbers
) -> Step:
    """Take an implicit step; Newton's method solves for y in units of the tolerated error."""
    tableau, h = solver(method).tableau, t1 - t

    def scaled(t: Scalar, z: Numbers) -> Numbers:
        return slope(t, z * scale) / scale

    z, diagonal = y / scale, float(tableau.a_diagonal[-1])
    jacobian = jax.jacfwd(lambda z: scaled(t, z))(z)
    inverse = jnp.linalg.inv(jnp.eye(len(z), dtype=z.dtype) - h * diagonal * jacobian)

    def solve(carry, row):
        stages, converged = carry
        number, lower, predictor, c = row
        place = z + h * jnp.sum(lower[:, None] * stages, 0)
        time = jnp.where(c == 1, t1, t + c * h)

        def missing(k: Numbers) -> Numbers:
            return scaled(time, place + h * diagonal * k) - k

        stage, near = _newton(missing, inverse, jnp.sum(predictor[:, None] * stages, 0), h)
        stages = lax.dynamic_update_index_in_dim(stages, stage, number, 0)
        return (stages, converged & near), None

    # A loop over the stages compiles in two thirds of the time of stages written out.
    numbers = np.arange(1, len(tableau.c) + 1)
    rows = numbers, _filled(tableau.a_lower), _filled(tableau.a_predictor), np.asarray(tableau.c)
    stages = jnp.zeros((len(numbers) + 1, len(z)), z.dtype).at[0].set(first / scale)
    (stages, converged), _ = lax.scan(solve, (stages, jnp.ones((), bool)), rows)
    error = jnp.where(converged, h * _combine(tableau.b_error, list(stages)), jnp.inf)
    solution = z + h * _combine(tableau.b_sol, list(stages))
    return Step(solution * scale, stages[-1] * scale, error * scale, jnp.zeros((), y.dtype))


def _filled(rows: tuple[np.ndarray, ...]) -> Float[np.ndarray, "stages all"]:
    """Return the rows of a triangle as a matrix with one more column, zero where they end."""
    return np.stack([np.pad(row, (0, len(rows) + 1 - len(row))) for row in rows])


def _newton(
    missing: Callable[[Numbers], Numbers],
    inverse: Float[Array, "size size"],
    guess: Numbers,
    h: Scalar,
) -> tuple[Numbers, Bool[Array, ""]]:
    """Solve missing(k) = 0 by simplified Newton steps, until one moves h·k by less than `NEAR`.

    A product with the inverse takes a fourth of the time of LAPACK's solution of a small system.
    """

    def going(carry):
        tries, _, moved = carry
        return (tries < NEWTON_STEPS) & ~(moved < NEAR) & ((tries == 0) | jnp.isfinite(moved))

    def improve(carry):
        tries, k, _ = carry
        correction = jnp.sum(inverse * missing(k), 1)
        return tries + 1, k + correction, jnp.max(jnp.abs(h * correction))

    begin = jnp.zeros((), jnp.int32), guess, jnp.full((), jnp.inf, guess.dtype)
    _, k, moved = lax.while_loop(going, improve, begin)
    return k, moved < NEAR


def rms(values: Numbers) -> Scalar:
    """Root mean square."""
    return jnp.sqrt(jnp.mean(values * values))


def accept(error: Scalar, order: int) -> tuple[Bool[Array, ""], Scalar]:
    """Return whether a step is kept, and the length of the next one over that of this one.

    `error` is the step's error over the tolerated one. This is diffrax's integral controller, with
    its constants.
    """
    keep = error < 1
    factor = 0.9 * error ** (-1 / order)
    return keep, jnp.clip(factor, jnp.where(keep, 1.0, 0.2), jnp.where(keep, 10.0, 0.9))
