"""What a sweep minimizes: a loss, a function that draws the starting point, and known facts."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt32

from .._check import bad, is_finite_number
from .._precision import precision
from .._types import AnyArray
from ..identity import arrays_digest, trace_digest

Params = PyTree[Float[Array, "..."]]
"""Parameters of a problem: a PyTree of floating-point arrays."""
NOISE = "threefry2x32"
"""JAX's random number generator for mini-batches, independent of the default of the process."""
BatchLoss = (
    Callable[[Any, PRNGKeyArray], Float[Array, ""]]
    | Callable[[Any, PRNGKeyArray, Any], Float[Array, ""]]
)
"""A loss of (params, key) or of (params, key, step)."""


@dataclass(frozen=True, repr=False)
class Problem:
    """A loss to minimize and a function that draws the starting point. The others are optional.

    **Arguments:**

    - `loss`: `loss(params) -> scalar`, any callable that JAX can trace. Put data into the
        array leaves of a PyTree, as in `jax.tree_util.Partial(function, data)`: then other data
        of the same shape do not compile again. A closure over the data works too.
    - `init`: `init(key) -> params`, a PyTree of floating-point arrays. `key` is a
        `jax.random` key made from the sweep's `seed`. It always runs in float64, so that float32
        and float64 sweeps start at the same point.
    - `name`: name of the problem in results.
    - `config`: the arguments that the problem was built with, which JSON must be able to encode;
        written into every result.
    - `minimum`: the smallest value of the loss, if known. It is subtracted from the loss before
        classification, because regimes are defined in decades above it. If it is `None`, it counts
        as zero in cells whose loss is positive and falls by 1.5 decades, and is estimated in the
        others (`estimated_minimum` in the results).
    - `pl_constant`: the largest known μ with |∇f|² ≥ μ (f − minimum) everywhere, the
        Polyak–Łojasiewicz condition as in Ma, Wu and E (2021).
    - `hessian`: the Hessian at the minimum, `[size, size]`, if known.
    - `batch_loss`: `batch_loss(params, key) -> scalar`, an unbiased estimate of the loss on a
        mini-batch drawn with `key`; the gradient is then that of `batch_loss`. Every step of an
        optimizer gets a new key. Keys derive from the sweep's `seed`, so all cells of one seed
        see the same mini-batches. If it has an argument named `step`,
        `batch_loss(params, key, step)`, it also gets the number of the step, an int32 scalar that
        starts at 0. The recorded and classified loss is still `loss`.

    Raises a `TypeError` for a `loss`, `init` or `batch_loss` that is not a function, and for a
    `config` that JSON cannot encode; a `ValueError` for a `minimum` that is not a finite number.
    """

    loss: Callable[[Any], Float[Array, ""]]
    init: Callable[[PRNGKeyArray], Params]
    name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    minimum: float | None = None
    pl_constant: float | None = None
    hessian: np.ndarray | None = None
    batch_loss: BatchLoss | None = None

    def __post_init__(self) -> None:
        for argument in ("loss", "init"):
            if not callable(getattr(self, argument)):
                raise TypeError(
                    f"{argument} = {getattr(self, argument)!r} must be a function; "
                    "a problem is loss(params) -> scalar and init(key) -> params"
                )
        if self.batch_loss is not None and not callable(self.batch_loss):
            raise TypeError(f"batch_loss = {self.batch_loss!r} must be a function, or left out")
        for name, value in self.config.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                allowed = f"a value that JSON can encode, such as a list of numbers ({error})"
                raise TypeError(f"config[{name!r}] = {value!r}: must be {allowed}") from error
        if self.minimum is not None:
            if not is_finite_number(self.minimum):
                raise bad("minimum", self.minimum, "a finite number, or left out if unknown")
            object.__setattr__(self, "minimum", float(self.minimum))
        if not self.name:
            object.__setattr__(self, "name", getattr(self.loss, "__qualname__", "custom"))

    def __repr__(self) -> str:
        config = "".join(f", {name}={value!r}" for name, value in self.config.items())
        return f"Problem({self.name}{config})"

    @property
    def objective(self) -> Any:
        """The loss as a compiled program takes it: with `batch_loss` and `minimum`, if any.

        The minimum is an array argument of the program: another value does not compile again.
        """
        if self.batch_loss is None and not self.minimum:
            return self.loss
        minimum = np.array(self.minimum) if self.minimum else None
        return Objective(self.loss, self.batch_loss, minimum)


class Objective(eqx.Module):
    """A loss, its estimate on a mini-batch or `None`, and its minimum or `None`."""

    loss: Any
    batch_loss: Any
    minimum: Any

    def __call__(self, params: Params) -> Float[Array, ""]:
        """Return the loss on all data."""
        return self.loss(params)

    def drawn(
        self, key: PRNGKeyArray, step: Int[AnyArray, ""]
    ) -> Callable[[Any], Float[Array, ""]]:
        """Return the loss on the mini-batch of one step, as a function of the parameters."""
        counted = {"step": step} if "step" in _arguments(self.batch_loss) else {}
        return lambda params: self.batch_loss(params, key, **counted)


def lowest(objective: Any) -> Any:
    """Minimum of a problem's `objective`, or `None` if it is zero or unknown."""
    return objective.minimum if isinstance(objective, Objective) else None


def has_batches(objective: Any) -> TypeGuard[Objective]:
    """Say whether every step of a problem's `objective` has the loss of another mini-batch."""
    return isinstance(objective, Objective) and objective.batch_loss is not None


def _arguments(function: Callable) -> Iterable[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # some builtins have no signature
        return ()


class Noise(NamedTuple):
    """Position of a cell in its sequence of mini-batches."""

    key: UInt32[AnyArray, "*cells key"]
    step: Int[AnyArray, "*cells"]


def start_noise(seed: int) -> Noise:
    """Return the start of the sequence of mini-batches of a seed."""
    with precision():
        key = jax.random.fold_in(jax.random.key(seed, impl=NOISE), 1)
        return Noise(np.asarray(jax.random.key_data(key)), np.asarray(0, np.int32))


def draw(noise: Noise) -> tuple[Noise, PRNGKeyArray]:
    """Return the noise of the next step, and the key of this step's mini-batch."""
    following, now = jax.random.split(jax.random.wrap_key_data(jnp.asarray(noise.key), impl=NOISE))
    return Noise(jax.random.key_data(following), noise.step + 1), now


def initial_params(problem: Problem, seed: int) -> PyTree[np.ndarray]:
    """Draw the starting point of `seed` in float64: a PyTree of NumPy arrays.

    Raises a `TypeError` if a leaf is not an array of float32 or float64, and a `ValueError` if
    the PyTree has no numbers.
    """
    with precision():
        params = problem.init(jax.random.key(seed))
        leaves = jax.tree_util.tree_leaves_with_path(params)
        for path, leaf in leaves:
            _check_leaf(problem, f"params{jax.tree_util.keystr(path)}", leaf)
        if not sum(np.size(leaf) for _, leaf in leaves):
            raise ValueError(
                f"init of problem '{problem.name}' must return a PyTree of floating-point arrays; "
                "it returned no numbers"
            )
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)


def _check_leaf(problem: Problem, path: str, leaf: Any) -> None:
    """Raise a `TypeError` that says what to do if a parameter is not a floating-point array."""
    must = f"init of problem '{problem.name}' must return a PyTree of floating-point arrays"
    if not isinstance(leaf, bool | int | float | complex) and not hasattr(leaf, "dtype"):
        raise TypeError(
            f"{must}; {path} is {getattr(leaf, '__name__', type(leaf).__name__)}, not an array: "
            "return only what is trained, such as the first part of eqx.partition(model, "
            "eqx.is_inexact_array), and combine the parts inside the loss"
        )
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"{must}; {path} is {dtype}: keep what is not trained in the loss, not in params"
        )
    if dtype not in (np.float32, np.float64):
        raise TypeError(
            f"{must} of float32 or float64; {path} is {dtype}: a sweep stores parameters in its "
            "own dtype, so cast them in init; to compute in lower precision, cast inside the loss"
        )


def initial_values(problem: Problem, params: PyTree) -> tuple[float, PyTree[np.ndarray]]:
    """Check a problem, and return loss and gradient at a starting point, in float64.

    Raises a `TypeError` if JAX cannot trace the loss, and a `ValueError` if it is not one finite
    floating-point scalar.
    """
    with precision():
        _check_scalar("loss", problem, _of_jax_arrays(problem.loss), params)
        if problem.batch_loss is not None:
            objective = _of_jax_arrays(problem.objective)
            drawn = objective.drawn(jax.random.key(0, impl=NOISE), jnp.zeros((), jnp.int32))
            _check_scalar("batch_loss", problem, drawn, params)
        value, grads = _value_and_grad(problem.loss, trace_of(problem, params)[0], params)
        if not np.isfinite(value):
            raise ValueError(
                f"loss of problem '{problem.name}' is {float(value)} at the start; it must be "
                "finite"
            )
        return float(value), jax.tree.map(np.asarray, grads)


def _of_jax_arrays(objective: PyTree) -> Any:
    """Make JAX arrays of the arrays in the leaves, which they are in a compiled program."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf) if is_array(leaf) else leaf, objective)


def _check_scalar(name: str, problem: Problem, loss: Callable, params: PyTree) -> None:
    """Refuse a loss that does not return one floating-point JAX scalar, `()`."""
    returned = []

    def traced(params: PyTree) -> None:
        returned.append(loss(params))

    what = f"{name} of problem '{problem.name}'"
    try:
        jax.eval_shape(traced, params)
    except UNTRACEABLE as error:
        raise TypeError(
            f"{what} cannot be traced by JAX: it converts its parameters to Python or NumPy, as "
            f"float(), bool(), if and numpy functions do; use jax.numpy ({_first_line(error)})"
        ) from error
    value = returned[0]
    if isinstance(value, tuple | list | dict):
        raise ValueError(
            f"{what} returned a {type(value).__name__} of {len(value)}; it must return one "
            "floating-point scalar, shape (): leave auxiliary output out, as in "
            "lambda params: loss(params)[0]"
        )
    if not isinstance(value, jax.Array):
        raise ValueError(
            f"{what} returned {value!r}, which is not a JAX array; it must return one "
            "floating-point scalar, shape (), computed from params with jax.numpy"
        )
    if value.shape != () or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"{what} returned shape {value.shape} and dtype {value.dtype}; "
            "it must return one floating-point scalar, shape ()"
        )


UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""Errors of JAX where Python code needs the value of a traced array."""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@eqx.filter_jit
def _value_and_grad(loss: Callable, trace: str, params: PyTree) -> tuple[Array, PyTree]:
    """Loss and gradient; `trace` is a static argument, so that another trace compiles again."""
    return jax.value_and_grad(loss)(params)


def trace_of(problem: Problem, params: PyTree) -> tuple[str, PyTree]:
    """Return a digest of what the loss and the batch loss compute, and their data.

    The data are the arrays in the leaves of the loss. Arrays in a closure are part of the digest.
    """
    arrays, functions = eqx.partition(problem.objective, is_array)

    def both(arrays: PyTree, params: PyTree, noise: Noise) -> Any:
        objective = eqx.combine(arrays, functions)
        values = [jax.value_and_grad(objective)(params)]
        if isinstance(objective, Objective) and objective.batch_loss is not None:
            following, key = draw(noise)
            values.append(jax.value_and_grad(objective.drawn(key, following.step))(params))
        return values

    with precision():
        return trace_digest(jax.make_jaxpr(both)(arrays, params, start_noise(0))), arrays


def is_array(leaf: Any) -> bool:
    """Say whether a leaf is an array of JAX or NumPy."""
    return isinstance(leaf, jax.Array | np.ndarray)


def fingerprint(problem: Problem, starts: list[PyTree]) -> str:
    """Return a digest of what a problem computes, of its data and of its starting points."""
    trace, arrays = trace_of(problem, starts[0])
    return f"{trace} {arrays_digest(*jax.tree.leaves((arrays, starts)))}"
