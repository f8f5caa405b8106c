"""What a sweep optimizes: a loss, a way to start, and what is known about it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt32

from .._check import bad
from .._precision import precision
from .._types import AnyArray
from ..identity import arrays_digest, trace_digest

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
        drawn with `key`, where the gradient has the noise of mini-batches. Every step of an
        optimizer draws again, from the sweep's `seed`, so cells of one seed see the same
        batches. With an argument named `step`, `batch_loss(params, key, step)`, it also gets the
        number of the step, an int32 scalar that starts at 0. What is recorded, and judged, is
        `loss`, on all data.

    Raises a `TypeError` for what is no function, and for a `config` that JSON can't write.
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
        for name, value in self.config.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                allowed = f"what JSON can write, such as a list of numbers ({error})"
                raise TypeError(f"config[{name!r}] = {value!r}: must be {allowed}") from error
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

    def drawn(
        self, key: PRNGKeyArray, step: Int[AnyArray, ""]
    ) -> Callable[[Any], Float[Array, ""]]:
        """Return the loss on the data of one step, a function of the parameters."""
        counted = {"step": step} if "step" in _arguments(self.batch_loss) else {}
        return lambda params: self.batch_loss(params, key, **counted)


def lowest(objective: Any) -> Any:
    """Minimum of a problem's `objective`, or `None` if it is zero or not known."""
    return objective.minimum if isinstance(objective, Objective) else None


def _arguments(function: Callable) -> Iterable[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # a builtin, which has none
        return ()


class Noise(NamedTuple):
    """Where a cell is in its sequence of mini-batches."""

    key: UInt32[AnyArray, "*cells key"]
    step: Int[AnyArray, "*cells"]


def start_noise(seed: int) -> Noise:
    """Return where the mini-batches of a seed begin."""
    with precision():
        key = jax.random.fold_in(jax.random.key(seed, impl=NOISE), 1)
        return Noise(np.asarray(jax.random.key_data(key)), np.asarray(0, np.int32))


def draw(noise: Noise) -> tuple[Noise, PRNGKeyArray]:
    """Return the noise of the next step, and the key to draw from now."""
    following, now = jax.random.split(jax.random.wrap_key_data(jnp.asarray(noise.key), impl=NOISE))
    return Noise(jax.random.key_data(following), noise.step + 1), now


def initial_params(problem: Problem, seed: int) -> PyTree[np.ndarray]:
    """Draw the starting point of `seed` in float64: a PyTree of NumPy arrays.

    Raises a `TypeError` if a leaf is no array of float32 or float64, and a `ValueError` if there
    are no numbers in it.
    """
    with precision():
        params = problem.init(jax.random.key(seed))
        leaves = jax.tree_util.tree_leaves_with_path(params)
        for path, leaf in leaves:
            _check_leaf(problem, f"params{jax.tree_util.keystr(path)}", leaf)
        if not sum(np.size(leaf) for _, leaf in leaves):
            raise ValueError(
                f"init of problem '{problem.name}' must return a PyTree of floating-point arrays; "
                "it returned no number"
            )
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)


def _check_leaf(problem: Problem, path: str, leaf: Any) -> None:
    """Refuse a parameter that is no floating-point array, and say what to do."""
    must = f"init of problem '{problem.name}' must return a PyTree of floating-point arrays"
    if not isinstance(leaf, bool | int | float | complex) and not hasattr(leaf, "dtype"):
        raise TypeError(
            f"{must}; {path} is {getattr(leaf, '__name__', type(leaf).__name__)}, no array: return "
            "what is trained alone, such as the first part of eqx.partition(model, "
            "eqx.is_inexact_array), and combine the parts inside the loss"
        )
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"{must}; {path} is {dtype}: keep what is not trained out of params, in the loss"
        )
    if dtype not in (np.float32, np.float64):
        raise TypeError(
            f"{must} of float32 or float64; {path} is {dtype}: a sweep keeps parameters in its own "
            "dtype, so cast them in init, and inside the loss to compute in less"
        )


def initial_values(problem: Problem, params: PyTree) -> tuple[float, PyTree[np.ndarray]]:
    """Evaluate loss and gradient at a starting point, in float64; refuse what no sweep can use."""
    with precision():
        _check_scalar("loss", problem, problem.loss, params)
        if problem.batch_loss is not None:
            key = jax.random.key(0, impl=NOISE)
            drawn = Objective(problem.loss, problem.batch_loss, None).drawn(
                key, jnp.zeros((), jnp.int32)
            )
            _check_scalar("batch_loss", problem, drawn, params)
        value, grads = _value_and_grad(problem.loss, trace_of(problem, params)[0], params)
        if not np.isfinite(value):
            raise ValueError(
                f"loss of problem '{problem.name}' is {float(value)} at the start; it must be "
                "finite"
            )
        return float(value), jax.tree.map(np.asarray, grads)


def _check_scalar(name: str, problem: Problem, loss: Callable, params: PyTree) -> None:
    """Refuse a loss that does not return one floating-point scalar that depends on `params`."""
    returned = []

    def traced(params: PyTree) -> None:
        returned.append(loss(params))

    what = f"{name} of problem '{problem.name}'"
    try:
        jax.eval_shape(traced, params)
    except UNTRACEABLE as error:
        raise TypeError(
            f"{what} can't be traced by JAX: it makes a Python or NumPy number of its parameters, "
            f"as float(), bool(), if and numpy functions do; use jax.numpy ({_first_line(error)})"
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
            f"{what} returned {value!r}, which is no JAX array; it must return one floating-point "
            "scalar, shape (), computed from params with jax.numpy"
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
"""What JAX raises where Python needs the value of what is traced."""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@eqx.filter_jit
def _value_and_grad(loss: Callable, trace: str, params: PyTree) -> tuple[Array, PyTree]:
    """Loss and gradient; `trace` says what the loss computes, and has it compiled again if new."""
    return jax.value_and_grad(loss)(params)


def trace_of(problem: Problem, params: PyTree) -> tuple[str, PyTree]:
    """Digest what the loss and the batch loss compute, and return the data they compute it from.

    Data are the arrays in the leaves of the loss; those that a closure holds are in the digest.
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
    """Say whether a leaf is an array of numbers, of JAX or of NumPy."""
    return isinstance(leaf, jax.Array | np.ndarray)


def fingerprint(problem: Problem, starts: list[PyTree]) -> str:
    """Digest what a problem computes, its data and its starting points."""
    trace, arrays = trace_of(problem, starts[0])
    return f"{trace} {arrays_digest(*jax.tree.leaves((arrays, starts)))}"
