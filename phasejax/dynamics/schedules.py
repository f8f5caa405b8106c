"""Learning rates that change during a run, and optimizers that have them.

The formulas are those of optax's schedules. Here every number may be traced, so it can be an axis
of a sweep; optax asks about some of them in Python.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from .._check import bad, choice
from .._types import Scalar

Schedule = Callable[[Int[Array, ""]], Float[Array, ""]]
"""The learning rate as a function of the number of steps before this one."""


def warmup(learning_rate: Scalar, warmup_steps: Scalar) -> Schedule:
    """From 0 to `learning_rate` in `warmup_steps` equal increments, then constant."""

    def rate(step: Int[Array, ""]) -> Float[Array, ""]:
        share = step / jnp.maximum(warmup_steps, 1)
        return learning_rate * jnp.where(step < warmup_steps, share, 1.0)

    return rate


def cosine(learning_rate: Scalar, total_steps: Scalar, end_rate: Scalar = 0.0) -> Schedule:
    """From `learning_rate` to `end_rate` by half a period of a cosine (Loshchilov and Hutter 2017).

    ArXiv 1608.03983; `optax.cosine_decay_schedule`.
    """
    return warmup_cosine(learning_rate, 0, total_steps, end_rate)


def warmup_cosine(
    learning_rate: Scalar, warmup_steps: Scalar, total_steps: Scalar, end_rate: Scalar = 0.0
) -> Schedule:
    """Up to `learning_rate` as by `warmup`, then down to `end_rate` by half a period of a cosine.

    `optax.warmup_cosine_decay_schedule` with 0 as its first value.
    """
    rising = warmup(learning_rate, warmup_steps)

    def rate(step: Int[Array, ""]) -> Float[Array, ""]:
        share = _share(step, warmup_steps, total_steps)
        falling = end_rate + (learning_rate - end_rate) * (1 + jnp.cos(jnp.pi * share)) / 2
        return jnp.where(step < warmup_steps, rising(step), falling)

    return rate


def warmup_linear(
    learning_rate: Scalar, warmup_steps: Scalar, total_steps: Scalar, end_rate: Scalar = 0.0
) -> Schedule:
    """Up to `learning_rate` as by `warmup`, then down to `end_rate` in equal decrements."""
    rising = warmup(learning_rate, warmup_steps)

    def rate(step: Int[Array, ""]) -> Float[Array, ""]:
        share = _share(step, warmup_steps, total_steps)
        falling = learning_rate + (end_rate - learning_rate) * share
        return jnp.where(step < warmup_steps, rising(step), falling)

    return rate


def _share(step: Any, first: Scalar, last: Scalar) -> Float[Array, ""]:
    """Share of the steps from `first` to `last` that are done."""
    return jnp.clip((step - first) / jnp.maximum(last - first, 1), 0, 1)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "warmup": warmup,
    "cosine": cosine,
    "warmup_cosine": warmup_cosine,
    "warmup_linear": warmup_linear,
}
"""Schedules by name."""


@dataclass(frozen=True)
class Scheduled:
    """An optimizer whose learning rate follows a schedule: a function of hyper-parameters.

    Its arguments are those of the schedule (`learning_rate` is the largest rate), `clip_norm`, and
    those of the optimizer. Use `scheduled` to make one.
    """

    optimizer: Callable[..., optax.GradientTransformation]
    schedule: str

    def __post_init__(self) -> None:
        # Results find a function again by these two.
        object.__setattr__(self, "__module__", self.optimizer.__module__)
        object.__setattr__(self, "__name__", f"{self.optimizer.__name__}+{self.schedule}")

    @property
    def __signature__(self) -> inspect.Signature:
        ours = inspect.signature(SCHEDULES[self.schedule]).parameters
        theirs = dict(inspect.signature(self.optimizer).parameters)
        del theirs["learning_rate"]
        keyword = inspect.Parameter.KEYWORD_ONLY
        clip = inspect.Parameter("clip_norm", keyword, default=None)
        parameters = [*ours.values(), clip, *theirs.values()]
        return inspect.Signature([p.replace(kind=keyword) for p in parameters])

    def __call__(self, clip_norm: Scalar | None = None, **hyper: Any) -> Any:
        """Build the optimizer; `clip_norm` is the largest 2-norm of a gradient."""
        names = inspect.signature(SCHEDULES[self.schedule]).parameters
        numbers = {name: hyper.pop(name) for name in names if name in hyper}
        built = self.optimizer(learning_rate=SCHEDULES[self.schedule](**numbers), **hyper)
        if clip_norm is None:
            return built
        return optax.chain(optax.clip_by_global_norm(clip_norm), built)


def scheduled(
    optimizer: Callable[..., optax.GradientTransformation], schedule: str
) -> Callable[..., optax.GradientTransformation]:
    """Return an optimizer whose learning rate follows a schedule.

    ```python
    grid = pj.Grid(learning_rate=pj.log_axis(1e-4, 1, 24), warmup_steps=pj.log_axis(1, 1e3, 24))
    dataset = pj.sweep(problem, pj.scheduled(optax.adamw, "warmup_cosine"), grid, steps=5_000)
    ```

    **Arguments:**

    - `optimizer`: a function with an argument `learning_rate` that takes a schedule, as those of
        optax do, or a `functools.partial` of one.
    - `schedule`: "warmup", "cosine", "warmup_cosine" or "warmup_linear".

    The hyper-parameters are `learning_rate`, the largest rate; `warmup_steps`; `end_rate`, 0 by
    default; `clip_norm`, the largest 2-norm of a gradient, none by default; and those of the
    optimizer. `total_steps` is the number of steps of the sweep. Raises a `ValueError` for an
    unknown schedule, or an optimizer that takes none.
    """
    choice("schedule", schedule, SCHEDULES)
    if isinstance(optimizer, functools.partial):
        return functools.partial(scheduled(optimizer.func, schedule), **optimizer.keywords)
    taken = inspect.signature(optimizer).parameters
    name = getattr(optimizer, "__name__", repr(optimizer))
    if "learning_rate" not in taken:
        raise bad("optimizer", name, "one with an argument learning_rate, to take a schedule")
    if {"a", "b"} <= taken.keys():
        raise bad("optimizer", name, "one of optax (optax.adam): a and b need a fixed rate")
    ours = inspect.signature(SCHEDULES[schedule]).parameters.keys() | {"clip_norm"}
    if clash := sorted(taken.keys() & ours - {"learning_rate"}):
        raise bad("optimizer", name, f"one without the arguments {', '.join(clash)}")
    return Scheduled(optimizer, schedule)
