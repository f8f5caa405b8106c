"""What a sweep minimizes: a loss, a function that draws the starting point, and known facts."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt32

from .._check import bad, is_finite_number, whole
from .._precision import precision
from .._types import AnyArray
from ..identity import arrays_digest, as_numpy, trace_digest
from .parts import Parts, join, split

Params = PyTree[Float[Array, "..."]]
"""Parameters of a problem: a PyTree of floating-point arrays."""
NOISE = "threefry2x32"
"""JAX's random number generator for mini-batches, independent of the default of the process."""
BatchLoss = Callable[[Any, PRNGKeyArray], Float[Array, ""]] | Callable[..., Float[Array, ""]]
"""A loss of (params, key), and of `step` and `run_key` if it has arguments of these names."""


@dataclass(frozen=True, repr=False)
class Problem:
    """A loss to minimize and a function that draws the starting point. The others are optional.

    **Arguments:**

    - `loss`: `loss(params) -> scalar`, any callable that JAX can trace. Put data into the
        array leaves of a PyTree, as in `jax.tree_util.Partial(function, data)`: then other data
        of the same shape do not compile again. A closure over the data works too.
    - `init`: `init(key) -> params`, a PyTree: arrays in dicts, lists and tuples, an equinox module,
        a flax NNX module, the parameters of flax Linen. Its floating-point arrays are trained.
        Other leaves (integers, functions, random keys) are part of what `loss` gets, and do not
        change; they are the same for every key. `key` is a `jax.random` key made from the sweep's
        `seed`. It always runs in float64, so that float32 and float64 sweeps start at the same
        point.
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
        starts at 0; if it has one named `run_key`, a key that is the same in all steps of a seed.
        The recorded and classified loss is still `loss`.
    - `validation_loss`: `validation_loss(params) -> scalar`, the loss on held-out data, which a
        sweep in steps records at the end of every window.
    - `evaluate_every`: with `batch_loss`, the loss on all data is evaluated and recorded in every
        so many steps, from step 0; each window of a sweep must have such a step.

    Raises a `TypeError` for a `loss`, `init`, `batch_loss` or `validation_loss` that is not a
    function, and for a
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
    validation_loss: Callable[[Any], Float[Array, ""]] | None = None
    evaluate_every: int = 1

    def __post_init__(self) -> None:
        for argument in ("loss", "init"):
            if not callable(getattr(self, argument)):
                raise TypeError(
                    f"{argument} = {getattr(self, argument)!r} must be a function; "
                    "a problem is loss(params) -> scalar and init(key) -> params"
                )
        for argument in ("batch_loss", "validation_loss"):
            given = getattr(self, argument)
            if given is not None and not callable(given):
                raise TypeError(f"{argument} = {given!r} must be a function, or left out")
        object.__setattr__(self, "evaluate_every", whole("evaluate_every", self.evaluate_every))
        if self.evaluate_every > 1 and self.batch_loss is None:
            allowed = "left out without a batch_loss: the loss is part of the gradient"
            raise bad("evaluate_every", self.evaluate_every, allowed)
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

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        config = "".join(f", {name}={value!r}" for name, value in self.config.items())
        return f"Problem({self.name}{config})"

    @property
    def objective(self) -> Any:
        """The loss as a compiled program takes it: with `batch_loss` and `minimum`, if any.

        The minimum is an array argument of the program: another value does not compile again.
        """
        rest = self.parts.rest
        if not (self.batch_loss or self.minimum or self.validation_loss) and rest is None:
            return self.loss
        minimum = np.array(self.minimum) if self.minimum else None
        losses = self.loss, self.batch_loss, minimum, rest, self.validation_loss
        return Objective(*losses, self.evaluate_every)

    @cached_property
    def parts(self) -> Parts:
        """What `init` returns for seed 0: what is trained, in float64, and the rest."""
        return _drawn_parts(self, 0)


class Objective(eqx.Module):
    """A loss of parameters.

    - `loss`: the loss of a model.
    - `batch_loss`: its estimate on a mini-batch, or `None`.
    - `minimum`: its minimum, or `None`.
    - `rest`: leaves of the model that are not trained, or `None` if all are.
    - `validation_loss`: the loss of a model on held-out data, or `None`.
    - `evaluate_every`: steps from one evaluation of the loss on all data to the next.
    """

    loss: Any
    batch_loss: Any
    minimum: Any
    rest: Any
    validation_loss: Any
    evaluate_every: int = eqx.field(static=True)

    def __call__(self, params: Params) -> Float[Array, ""]:
        """Return the loss on all data."""
        return self.loss(self.model(params))

    def model(self, params: Params) -> PyTree:
        """Return the model that has these parameters."""
        return join(params, self.rest)

    def drawn(self, key: PRNGKeyArray, noise: Noise) -> Callable[[Any], Float[Array, ""]]:
        """Return the loss on the mini-batch of one step, as a function of the parameters."""
        more = {"step": noise.step, "run_key": _key(noise.run)}
        taken = {name: more[name] for name in more.keys() & _arguments(self.batch_loss)}
        return lambda params: self.batch_loss(self.model(params), key, **taken)

    def held_out(self, params: Params) -> Float[Array, ""]:
        """Return the loss on held-out data."""
        return self.validation_loss(self.model(params))


def lowest(objective: Any) -> Any:
    """Minimum of a problem's `objective`, or `None` if it is zero or unknown."""
    return objective.minimum if isinstance(objective, Objective) else None


def has_batches(objective: Any) -> TypeGuard[Objective]:
    """Say whether every step of a problem's `objective` has the loss of another mini-batch."""
    return isinstance(objective, Objective) and objective.batch_loss is not None


def _arguments(function: Callable) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except ValueError:  # some builtins have no signature
        return set()


class Noise(NamedTuple):
    """Position of a cell in its sequence of mini-batches, and a key that does not change."""

    key: UInt32[AnyArray, "*cells key"]
    step: Int[AnyArray, "*cells"]
    run: UInt32[AnyArray, "*cells key"]


def start_noise(seed: int) -> Noise:
    """Return the start of the sequence of mini-batches of a seed."""
    with precision():
        keys = (jax.random.fold_in(jax.random.key(seed, impl=NOISE), n) for n in (1, 2))
        key, run = (np.asarray(jax.random.key_data(x)) for x in keys)
        return Noise(key, np.asarray(0, np.int32), run)


def draw(noise: Noise) -> tuple[Noise, PRNGKeyArray]:
    """Return the noise of the next step, and the key of this step's mini-batch."""
    following, now = jax.random.split(_key(noise.key))
    return Noise(jax.random.key_data(following), noise.step + 1, noise.run), now


def _key(data: UInt32[AnyArray, " key"]) -> PRNGKeyArray:
    return jax.random.wrap_key_data(jnp.asarray(data), impl=NOISE)


def initial_params(problem: Problem, seed: int) -> PyTree[np.ndarray]:
    """Draw the starting point of `seed` in float64: a PyTree of NumPy arrays.

    Raises a `TypeError` if a trained leaf is not an array of float32 or float64, and a `ValueError`
    if the PyTree has no such leaf, or differs between seeds in more than numbers that are trained.
    """
    if seed == 0:
        return problem.parts.params
    params, rest = _drawn_parts(problem, seed)
    first, same = problem.parts
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(x)] for x in (params, first)]
    if shapes[0] != shapes[1] or not _equal(rest, same):
        raise ValueError(
            f"init of problem '{problem.name}' returns a different model for seed {seed} than for "
            "seed 0: shapes, and all that is not trained, must be the same for every key"
        )
    return jax.tree.unflatten(jax.tree.structure(first), jax.tree.leaves(params))


def _drawn_parts(problem: Problem, seed: int) -> Parts:
    """Draw a model and part it; the trained arrays are NumPy arrays of float64."""
    with precision():
        params, rest = split(problem.init(jax.random.key(seed)))
        leaves = jax.tree_util.tree_leaves_with_path(params)
        for path, leaf in leaves:
            _check_leaf(problem, f"params{jax.tree_util.keystr(path)}", leaf)
        if not sum(np.size(leaf) for _, leaf in leaves):
            raise ValueError(
                f"init of problem '{problem.name}' must return a PyTree of floating-point arrays; "
                "it returned no numbers that are trained"
            )
        return Parts(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params), rest)


def _equal(one: PyTree, other: PyTree) -> bool:
    """Say whether leaves that are not trained are equal; functions are not compared."""
    pairs = [jax.tree.leaves(x) for x in (one, other)]
    if len(pairs[0]) != len(pairs[1]):
        return False
    return all(
        np.array_equal(as_numpy(x), as_numpy(y)) if is_array(x) else callable(x) or x == y
        for x, y in zip(*pairs, strict=True)
    )


def _check_leaf(problem: Problem, path: str, leaf: Any) -> None:
    """Raise a `TypeError` that says what to do if a parameter is no array of float32 or float64."""
    dtype = jnp.result_type(leaf)
    if dtype not in (np.float32, np.float64):
        raise TypeError(
            f"init of problem '{problem.name}' must return arrays of float32 or float64; {path} is "
            f"{dtype}: a sweep stores parameters in its own dtype, so cast them in init; to "
            "compute in lower precision, cast inside the loss"
        )


class Traced(NamedTuple):
    """What a problem computes: the digest of a trace, and the arrays in the leaves of the loss."""

    digest: str
    arrays: PyTree


def checked_trace(problem: Problem, params: PyTree) -> Traced:
    """Check what the losses of a problem return, and return `trace_of`.

    Raises a `TypeError` if JAX cannot trace a loss, and a `ValueError` if it is not one
    floating-point scalar.
    """
    with precision():
        objective = _of_jax_arrays(problem.objective)
        _check_scalar("loss", problem, objective, params)
        if problem.batch_loss is not None:
            drawn = objective.drawn(jax.random.key(0, impl=NOISE), start_noise(0))
            _check_scalar("batch_loss", problem, drawn, params)
        if problem.validation_loss is not None:
            _check_scalar("validation_loss", problem, objective.held_out, params)
    return trace_of(problem, params)


def initial_values(
    problem: Problem, trace: str, params: PyTree
) -> tuple[float, PyTree[np.ndarray]]:
    """Return loss and gradient at a starting point, in float64; `trace` is that of `trace_of`.

    Raises a `ValueError` if the loss is not finite.
    """
    with precision():
        value, grads = _value_and_grad(problem.objective, trace, params)
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


def trace_of(problem: Problem, params: PyTree) -> Traced:
    """Return a digest of what the loss and the batch loss compute, and their data.

    The data are the arrays in the leaves of the loss. Arrays in a closure are part of the digest.
    """
    arrays, functions = eqx.partition(problem.objective, is_array)

    def both(arrays: PyTree, params: PyTree, noise: Noise) -> Any:
        objective = eqx.combine(arrays, functions)
        values: list[Any] = [jax.value_and_grad(objective)(params)]
        if isinstance(objective, Objective) and objective.batch_loss is not None:
            key = draw(noise)[1]
            values.append(jax.value_and_grad(objective.drawn(key, noise))(params))
        if isinstance(objective, Objective) and objective.validation_loss is not None:
            values.append(objective.held_out(params))
        return values

    with precision():
        key: Any = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0, impl=NOISE)))
        step: Any = jax.ShapeDtypeStruct((), np.int32)
        noise = Noise(key, step, key)  # nothing is drawn
        trace = jax.make_jaxpr(both)(arrays, params, noise)
        return Traced(trace_digest(trace), arrays)


def is_array(leaf: Any) -> bool:
    """Say whether a leaf is an array of JAX or NumPy."""
    return isinstance(leaf, jax.Array | np.ndarray)


def fingerprint(traced: Traced, starts: list[PyTree]) -> str:
    """Return a digest of what a problem computes, of its data and of its starting points."""
    return f"{traced.digest} {arrays_digest(*jax.tree.leaves((traced.arrays, starts)))}"
