"""Probes of quantities that every step has: their least, largest and mean value per window."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .._check import said
from .._precision import precision
from .base import End, Probe, Quantity, Step


class Range(NamedTuple):
    """Least, largest and sum of the values of a window so far, and their number; nan is skipped."""

    low: Float[Array, " quantities"]
    high: Float[Array, " quantities"]
    total: Float[Array, " quantities"]
    number: Float[Array, " quantities"]


class PerStep(Probe):
    """A probe of numbers that every step has: derive from it, and write two methods.

    The results have `NAME_min`, `NAME_max` and `NAME_mean` of each quantity per window. A step
    where a quantity is nan is left out.
    """

    @property
    @abc.abstractmethod
    def quantities(self) -> Mapping[str, Quantity]:
        """What `measure` returns, by name."""

    @abc.abstractmethod
    def measure(self, memory: PyTree, step: Step) -> tuple[PyTree, dict[str, Any]]:
        """Return what to remember for the next step, and the value of each quantity."""

    def remember(self, params: PyTree, state: PyTree) -> PyTree:
        """Return what `measure` receives at the first step."""
        del params, state
        return ()

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """Least, largest and mean value of each quantity."""
        words = {"min": "least", "max": "largest", "mean": "mean"}
        return {
            f"{name}_{end}": Quantity(f"{word} {text} in the window", units)
            for name, (text, units) in self.quantities.items()
            for end, word in words.items()
        }

    def start(self, params: PyTree, state: PyTree) -> PyTree:
        """Begin the first window."""
        dtype = jnp.result_type(*jax.tree.leaves(params))
        return self.remember(params, state), _empty(len(self.quantities), dtype)

    def step(self, memory: PyTree, step: Step) -> PyTree:
        """Add the values of a step."""
        remembered, ranges = memory
        remembered, values = self.measure(remembered, step)
        return remembered, _add(ranges, [values[name] for name in self.quantities])

    def window(self, memory: PyTree, end: End) -> tuple[PyTree, dict[str, Float[Array, ""]]]:
        """Return the ranges of a window, and begin the next one."""
        remembered, ranges = memory
        low, high, total, number = ranges
        some = number > 0
        ends = {
            "min": jnp.where(some, low, jnp.nan),
            "max": jnp.where(some, high, jnp.nan),
            "mean": total / number,
        }
        values = {
            f"{name}_{end}": ends[end][place]
            for place, name in enumerate(self.quantities)
            for end in ends
        }
        return (remembered, _empty(len(low), low.dtype)), values


@dataclass(frozen=True)
class Function(PerStep):
    """A user's function of (params, grads, updates, state), measured in every step.

    It returns a number, named by the function, or a dictionary of numbers. `names` are theirs,
    which `phasejax.sweep` finds out.
    """

    function: Callable[[PyTree, PyTree, PyTree, PyTree], Any]
    names: tuple[str, ...] = ()

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Name of the function."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """The numbers that the function returns."""
        return {name: Quantity(name.replace("_", " ")) for name in self.names}

    def bind(self, rule: Any, params: PyTree[np.ndarray], state: PyTree) -> "Function":
        """Find out which numbers the function returns."""
        try:
            with precision():
                shapes = jax.eval_shape(self.numbers, params, params, params, state)
        except Exception as error:
            raise TypeError(
                f"probes = [{self.name}] fails on (params, grads, updates, state): {said(error)}"
            ) from error
        for name, shape in shapes.items():
            if not str(name).isidentifier():
                raise TypeError(
                    f"probes = [{self.name}]: {name!r} must be a name, as def gives one"
                )
            dtype = getattr(shape, "dtype", np.dtype(object))
            if getattr(shape, "shape", None) != () or np.dtype(dtype).kind not in "fiub":
                raise TypeError(
                    f"probes = [{self.name}] must return real numbers by name; {name} is {shape}"
                )
        return Function(self.function, tuple(shapes))

    def measure(self, memory: PyTree, step: Step) -> tuple[PyTree, dict[str, Any]]:
        """Call the function."""
        return memory, self.numbers(step.params, step.grads, step.updates, step.after)

    def numbers(self, *arguments: PyTree) -> dict[str, Any]:
        """Return the function's numbers by name."""
        result = self.function(*arguments)
        return dict(result) if isinstance(result, Mapping) else {self.name: result}


def _empty(number: int, dtype: jnp.dtype) -> Range:
    zeros = jnp.zeros(number, dtype)
    return Range(zeros + jnp.inf, zeros - jnp.inf, zeros, zeros)


def _add(ranges: Range, values: list[Any]) -> Range:
    found = jnp.stack([jnp.asarray(value, ranges.low.dtype) for value in values])
    known = ~jnp.isnan(found)
    return Range(
        jnp.fmin(ranges.low, found),
        jnp.fmax(ranges.high, found),
        ranges.total + jnp.where(known, found, 0),
        ranges.number + known,
    )
