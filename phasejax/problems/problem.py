"""What a sweep optimizes: a loss, a way to start, and what is known about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, UInt32

from .._check import bad

Params = PyTree[Float[Array, "..."]]
NOISE = "threefry2x32"
"""JAX's generator of random numbers for mini-batches, whatever the process's default is."""


@dataclass(frozen=True, repr=False)
class Problem:
    """A loss to minimize and a way to draw a starting point. Two functions are enough.

    **Arguments:**

    - `loss`: `loss(params) -> scalar`. Any callable that JAX can trace. Data belongs in the
        array leaves of a PyTree (`jax.tree_util.Partial(function, data)`), so that other data
        of the same shape compiles nothing new; a closure works too.
    - `init`: `init(key) -> params`, a PyTree of floating-point arrays. `key` is a
        `jax.random` key made from the sweep's `seed`. It runs in float64, whatever the
        sweep's dtype, so that float32 and float64 sweeps start at the same point.
    - `name`: how results name the problem.
    - `config`: JSON-able arguments that rebuild it, written into every result.
    - `minimum`: the smallest value of the loss, where known. Regimes live in decades above it:
        what is judged is the loss less its minimum. `None` is judged as 0.
    - `pl_constant`: the largest known μ with |∇f|² ≥ μ (f − minimum) everywhere, the
        Polyak–Łojasiewicz condition as in Ma, Wu and E (2021), where known.
    - `hessian`: the Hessian at the minimum, `[size, size]`, where known.
    - `batch_loss`: `batch_loss(params, key) -> scalar`, an unbiased estimate of the loss from data
        drawn with `key`, where the gradient shall have the noise of mini-batches. Every step of
        an optimizer draws anew, from the sweep's `seed`, so cells of one seed see the same
        batches. What is recorded, and judged, is `loss`, on all data.
    """

    loss: Callable[[Any], Float[Array, ""]]
    init: Callable[[PRNGKeyArray], Params]
    name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    minimum: float | None = None
    pl_constant: float | None = None
    hessian: np.ndarray | None = None
    batch_loss: Callable[[Any, PRNGKeyArray], Float[Array, ""]] | None = None

    def __post_init__(self) -> None:
        for argument in ("loss", "init"):
            if not callable(getattr(self, argument)):
                raise TypeError(
                    f"{argument} = {getattr(self, argument)!r} must be a function; "
                    "a problem is loss(params) -> scalar and init(key) -> params"
                )
        if self.batch_loss is not None and not callable(self.batch_loss):
            raise TypeError(f"batch_loss = {self.batch_loss!r} must be a function, or left out")
        if self.minimum is not None:
            numeric = isinstance(self.minimum, int | float | np.number | np.ndarray | jax.Array)
            numeric = numeric and not isinstance(self.minimum, bool) and np.ndim(self.minimum) == 0
            if not numeric or not np.isfinite(float(self.minimum)):
                raise bad("minimum", self.minimum, "a finite number, or left out if unknown")
            object.__setattr__(self, "minimum", float(self.minimum))
        if not self.name:
            object.__setattr__(self, "name", getattr(self.loss, "__qualname__", "custom"))

    def __repr__(self) -> str:
        config = "".join(f", {name}={value!r}" for name, value in self.config.items())
        return f"Problem({self.name}{config})"

    @property
    def objective(self) -> Any:
        """What is handed to a compiled program: the loss, with its noise and minimum if any.

        The minimum is a number of the program: another one compiles nothing.
        """
        if self.batch_loss is None and not self.minimum:
            return self.loss
        minimum = np.array(self.minimum) if self.minimum else None
        return Objective(self.loss, self.batch_loss, minimum)


class Objective(eqx.Module):
    """A loss, an estimate of it from data drawn at random, and its minimum; `None` for neither."""

    loss: Any
    batch_loss: Any
    minimum: Any

    def __call__(self, params: Params) -> Float[Array, ""]:
        """Return the loss, on all data."""
        return self.loss(params)


def lowest(objective: Any) -> Any:
    """Minimum of a problem's `objective`, or `None` if it is zero or not known."""
    return objective.minimum if isinstance(objective, Objective) else None


def noise_key(seed: int) -> UInt32[np.ndarray, " key"]:
    """Return the key that a seed's mini-batches are drawn from, as numbers."""
    key = jax.random.fold_in(jax.random.key(seed, impl=NOISE), 1)
    return np.asarray(jax.random.key_data(key))


def draw(key: UInt32[Array, " key"]) -> tuple[UInt32[Array, " key"], PRNGKeyArray]:
    """Return the key of the next step's draw, and one to draw from now."""
    following, now = jax.random.split(jax.random.wrap_key_data(key, impl=NOISE))
    return jax.random.key_data(following), now


def initial_params(problem: Problem, seed: int) -> PyTree[np.ndarray]:
    """Draw the starting point of `seed` in float64: a PyTree of NumPy arrays."""
    with jax.enable_x64(True):
        params = problem.init(jax.random.key(seed))
        leaves = jax.tree.leaves(params)
        if not leaves or not all(
            jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in leaves
        ):
            raise TypeError(
                f"init of problem '{problem.name}' must return a PyTree of floating-point arrays"
            )
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)


def checked_initial_loss(problem: Problem, params: PyTree) -> float:
    """Evaluate the loss at a starting point, in float64; refuse what no sweep can use."""
    with jax.enable_x64(True):
        value = problem.loss(jax.tree.map(jnp.asarray, params))
    shape, dtype = jnp.shape(value), jnp.result_type(value)
    if shape != () or not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"loss of problem '{problem.name}' returned shape {shape} and dtype {dtype}; "
            "it must return one floating-point scalar, shape ()"
        )
    if not np.isfinite(value):
        raise ValueError(
            f"loss of problem '{problem.name}' is {float(value)} at the start; it must be finite"
        )
    return float(value)


def fingerprint(problem: Problem, params: PyTree) -> str:
    """Hash the problem's data and a starting point, to tell two runs' problems apart."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((problem.objective, params)):
        if isinstance(leaf, np.ndarray | jax.Array | float | int):
            digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:16]
