"""Dynamics in steps of equal length: how cells advance by windows of steps."""

import abc
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Float, Int, PyTree

from .._check import bad
from .._precision import precision
from ..envelope import StepWindow, Windows, add, empty, finish
from ..factory import Hyperparameters
from ..probes.base import End, Loss, Probe, Quantity, Step
from ..problems.problem import Problem, draw, has_batches, initial_params, lowest
from ..program import Program
from .base import Cost, Dynamics

TINY = 64
"""Cells of problems of at most this many parameters are innermost in memory."""


@dataclass(frozen=True, eq=False)
class Steps(Dynamics, Program):
    """Dynamics in steps of equal length: derive from it, and write `init` and `step`.

    ```python
    class NoisyDescent(pj.Steps):
        random = True

        def init(self, rule, params):
            return ()

        def step(self, rule, loss, params, state, key):
            value, grads = jax.value_and_grad(loss)(params)
            return value, rule(params, grads, key), state
    ```

    `NoisyDescent(factory)` can then be swept like an optimizer; `rule` is what `factory`, a
    function of hyper-parameters, returned for the cell.

    - `random`: set it to `True` to receive a `key` in every step.
    - `own_probes`: what every run of these dynamics measures besides the loss.
    - `probes`: what a sweep asked for besides.
    """

    probes: tuple[Probe, ...] = field(default=(), kw_only=True)
    unit = "step"

    @property
    def own_probes(self) -> tuple[Probe, ...]:
        """Probes that every run has."""
        return ()

    @property
    def all_probes(self) -> tuple[Probe, ...]:
        """Own probes, and those that a sweep asked for."""
        return self.own_probes + self.probes

    @abc.abstractmethod
    def init(self, rule: Any, params: PyTree) -> PyTree:
        """Return the initial state of one cell besides its parameters, a PyTree of arrays."""

    @abc.abstractmethod
    def step(
        self, rule: Any, loss: Loss, params: PyTree, state: PyTree, key: Any
    ) -> tuple[Float[Array, ""], PyTree, PyTree]:
        """Take one step of one cell.

        `loss` is the problem's loss, or with mini-batches that of the step's batch. `key` is a
        `jax.random` key of this step, or `None` if not `random`. Returns the loss before the
        step, the parameters and the state after it.
        """

    def check_values(self, hyper: Hyperparameters) -> None:
        """Call the factory once with plain values, so that it can refuse them."""
        self.build_plain(hyper)

    def check_run(self, problem: Problem, horizon: float, windows: int, dtype: str) -> None:
        """Refuse fewer steps than windows."""
        if horizon < windows:
            raise bad("steps", horizon, f"at least windows = {windows}")
        if problem.evaluate_every > horizon // windows:
            most = f"at most {horizon // windows}: a window of {windows} has so many steps"
            raise bad("evaluate_every", problem.evaluate_every, most)
        for probe in self.all_probes:
            probe.check(problem, initial_params(problem, 0), dtype)

    def with_probes(
        self, probes: Sequence[Probe], hyper: Hyperparameters, params: PyTree
    ) -> "Steps":
        """Return the same dynamics with probes, bound to the rule of one cell."""
        rule = self.build_plain(hyper)
        with precision():
            state = jax.eval_shape(functools.partial(self.init, rule), params)
        return replace(self, probes=tuple(probe.bind(rule, params, state) for probe in probes))

    def programs(self, hyper: Hyperparameters, params: PyTree, windows: int) -> list[Program]:
        """Return what is compiled: the dynamics themselves."""
        return [self.with_probes(self.probes, hyper, params)] if self.probes else [self]

    @property
    def config(self) -> dict[str, Any]:
        """Settings of the probes, by name."""
        return (
            {"probes": {probe.name: probe.config for probe in self.probes}} if self.probes else {}
        )

    @property
    def measured_variables(self) -> Mapping[str, Quantity]:
        """Variables per window of all probes."""
        return {name: of for probe in self.all_probes for name, of in probe.variables.items()}

    @property
    def cell_variables(self) -> Mapping[str, Quantity]:
        """Variables per cell of all probes."""
        return {name: of for probe in self.all_probes for name, of in probe.cell_variables.items()}

    def describe(
        self, measured: Mapping[str, Float[np.ndarray, "cells window"]], edges: np.ndarray
    ) -> dict[str, Float[np.ndarray, " cells"]]:
        """Return the variables per cell of all probes."""
        described: dict[str, Float[np.ndarray, " cells"]] = {}
        for probe in self.all_probes:
            described |= probe.describe(measured, edges)
        return described

    def portion(
        self, edges: Float[np.ndarray, " edges"], last: int, steps: int | None = None
    ) -> Int[np.ndarray, "1"]:
        """Return the length of one window, `[1]`."""
        length = int(edges[last] - edges[last - 1]) if steps is None else steps
        return np.array([length], np.int32)

    def cost(self, horizon: float) -> Cost:
        """Return a gradient per step: all cells take all steps."""
        return Cost(horizon)

    def start(self, hyper: Hyperparameters, params: PyTree, noise: PyTree = ()) -> PyTree:
        """Return parameters, state, noise, largest size of a parameter so far, probes' memories."""
        state = self.init(self.build(hyper), params)
        memories = tuple(probe.start(params, state) for probe in self.all_probes)
        return params, state, noise, largest(params), memories

    def params_of(self, state: PyTree) -> PyTree:
        """Return the parameters that a state holds."""
        return state[0]

    def gradient(self, loss: Loss, state: PyTree) -> PyTree:
        """Return the gradient at one cell's parameters, of the loss that its next step minimizes.

        With mini-batches, that is the loss of the step's batch.
        """
        params, _, noise, *_ = state
        return jax.grad(_seen(loss, noise)[0])(params)

    def advance(
        self,
        loss: Loss,
        fixed: Hyperparameters,
        hyper: Hyperparameters,
        state: PyTree,
        portion: Int[Array, " windows"],
    ) -> tuple[PyTree, Windows]:
        """Advance cells by windows of `portion` steps; `hyper`, `state` and result: `[cells]`."""

        def window(state, length):
            return self._window(loss, fixed, hyper, state, length)

        state, windows = jax.lax.scan(window, state, portion)
        return state, jax.tree.map(jnp.transpose, windows)

    def _window(
        self,
        loss: Loss,
        fixed: Hyperparameters,
        hyper: Hyperparameters,
        state: PyTree,
        length: Int[Array, ""],
    ) -> tuple[PyTree, Windows]:
        """Advance cells by `length` steps, with the loss before each step."""
        *state, size, memories = state
        params = state[0]
        dtype = jnp.result_type(*jax.tree.leaves(params))
        minimum = None if lowest(loss) is None else jnp.asarray(lowest(loss), dtype)
        every = loss.evaluate_every if has_batches(loss) else 1
        evaluated = length if every == 1 else _multiples(every, state[2].step[0], length)
        weight = 1 / evaluated.astype(dtype)
        cells = jax.tree.leaves(params)[0].shape[0]
        running = jax.tree.map(lambda x: jnp.broadcast_to(x, cells), empty(dtype))
        record = functools.partial(_record, loss, weight, minimum)
        one_step = functools.partial(
            self._recorded_step, loss, fixed, record if every == 1 else None
        )

        def step(carry: PyTree) -> PyTree:
            if every > 1:  # outside of vmap, where a condition skips the work
                (params, state, noise), running, memories = carry
                due = noise.step[0] % every == 0
                running = jax.lax.cond(
                    due, jax.vmap(record), lambda running, _: running, running, params
                )
                carry = (params, state, noise), running, memories
            return jax.vmap(one_step)(hyper, carry)

        carry = (tuple(state), running, memories)
        tiny = _is_tiny(params) and not _uses_fft(loss, params)
        before, (state, running, memories) = _repeat(step, carry, length, tiny)
        moved = jax.vmap(largest)(jax.tree.map(jnp.subtract, state[0], before))
        size = jnp.maximum(size, jax.vmap(largest)(state[0]))
        relative_step = jnp.where(moved == 0, 0, moved / size).astype(dtype)
        envelope = finish(running, evaluated, relative_step, minimum)
        memories, measured = self._measured(loss, fixed, hyper, (state, memories), length)
        return (*state, size, memories), Windows(envelope, measured)

    def _recorded_step(
        self,
        loss: Loss,
        fixed: Hyperparameters,
        record: Callable[..., StepWindow] | None,
        hyper: Hyperparameters,
        carry: PyTree,
    ) -> PyTree:
        """Take one step of one cell; `record`, if given, adds its loss to those of the window."""
        (params, state, noise), running, memories = carry
        rule = self.build({**fixed, **hyper})
        seen, noise, now = _seen(loss, noise)
        key = jax.random.fold_in(now, 1) if self.random else None
        take = self.observed_step if self.all_probes else self.step
        value, following, after, *observed = take(rule, seen, params, state, key)
        if record is not None:
            running = record(running, params, value if seen is loss else None)
        if self.all_probes:
            grads, updates = observed

            def move(params: PyTree, state: PyTree) -> tuple[PyTree, PyTree]:
                return self.step(rule, seen, params, state, key)[1:]

            batched, before = seen is not loss, (params, grads, updates, state)
            taken = Step(rule, seen, batched, value, *before, after, following, move)
            pairs = zip(self.all_probes, memories, strict=True)
            memories = tuple(probe.step(memory, taken) for probe, memory in pairs)
        return (following, after, noise), running, memories

    def observed_step(
        self, rule: Any, loss: Loss, params: PyTree, state: PyTree, key: Any
    ) -> tuple[Float[Array, ""], PyTree, PyTree, PyTree, PyTree]:
        """Take one step as `step` does; returns its results, and gradient and update for probes."""
        value, following, after = self.step(rule, loss, params, state, key)
        updates = jax.tree.map(jnp.subtract, following, params)
        return value, following, after, jax.grad(loss)(params), updates

    def _measured(
        self,
        loss: Loss,
        fixed: Hyperparameters,
        hyper: Hyperparameters,
        carry: PyTree,
        length: Int[Array, ""],
    ) -> tuple[PyTree, dict[str, Float[Array, " cells"]]]:
        """Let the probes end a window; returns their memories and variables, `[cells]`.

        A window without steps only fills the shape of a segment.
        """

        def end(hyper: Hyperparameters, carry: PyTree) -> tuple[PyTree, dict[str, Any]]:
            (params, state, _), memories = carry
            rule = self.build({**fixed, **hyper})
            there = End(loss, has_batches(loss), rule, params, state, length)
            dtype = jnp.result_type(*jax.tree.leaves(params))
            following, variables = [], {}
            for probe, memory in zip(self.all_probes, memories, strict=True):
                memory, values = probe.window(memory, there)
                following.append(memory)
                variables |= {name: jnp.asarray(x, dtype) for name, x in values.items()}
            return tuple(following), variables

        @functools.partial(jax.jit, inline=True)  # traced once, for both uses
        def measured(carry: PyTree) -> PyTree:
            return jax.vmap(end)(hyper, carry)

        def skipped(carry: PyTree) -> PyTree:
            shapes = jax.eval_shape(measured, carry)[1]
            return carry[1], jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), shapes)

        if not self.all_probes:
            return carry[1], {}
        return jax.lax.cond(length > 0, measured, skipped, carry)


class ObservedSteps(Steps):
    """Dynamics whose step knows gradient and update: write `observed_step` instead of `step`."""

    def step(
        self, rule: Any, loss: Loss, params: PyTree, state: PyTree, key: Any
    ) -> tuple[Float[Array, ""], PyTree, PyTree]:
        """Take one step."""
        return self.observed_step(rule, loss, params, state, key)[:3]

    @abc.abstractmethod
    def observed_step(
        self, rule: Any, loss: Loss, params: PyTree, state: PyTree, key: Any
    ) -> tuple[Float[Array, ""], PyTree, PyTree, PyTree, PyTree]:
        """Take one step; returns what `step` does, and gradient and update for probes."""


def _record(
    loss: Loss,
    weight: Float[Array, ""],
    minimum: Float[Array, ""] | None,
    running: StepWindow,
    params: PyTree,
    value: Float[Array, ""] | None = None,
) -> StepWindow:
    """Add the loss on all data, which is `value` if known, to the statistics of a window."""
    value = loss(params) if value is None else value
    return add(running, value.astype(weight.dtype), weight, minimum)


def _multiples(every: int, first: Int[Array, ""], count: Int[Array, ""]) -> Int[Array, ""]:
    """Count the multiples of `every` among `count` numbers from `first`."""
    return (first + count + every - 1) // every - (first + every - 1) // every


def _seen(loss: Loss, noise: Any) -> tuple[Loss, Any, Any]:
    """Return the loss that a step minimizes, the noise of the next step, and the key of this one.

    `noise` is `()` in a cell that draws no random numbers, which has no key.
    """
    if noise == ():
        return loss, noise, None
    following, now = draw(noise)
    return loss.drawn(now, noise) if has_batches(loss) else loss, following, now


def _repeat(
    step: Callable[[PyTree], PyTree], carry: PyTree, length: Int[Array, ""], tiny: bool
) -> tuple[PyTree, PyTree]:
    """Take `length` steps of all cells; returns the parameters before the last step as well.

    The outer loop has two iterations, all steps but the last and then the last one, so that the
    body is compiled once.
    """
    laid_out = _cells_innermost if tiny else lambda carry: carry

    def part(last: Int[Array, ""], before_and_carry: PyTree) -> PyTree:
        _, carry = before_and_carry
        before = carry[0][0]
        count = jnp.where(last, jnp.minimum(length, 1), jnp.maximum(length - 1, 0))

        def turn(_: Any, carry: PyTree) -> PyTree:
            return laid_out(step(laid_out(carry)))

        return before, jax.lax.fori_loop(0, count, turn, carry)

    return jax.lax.fori_loop(0, 2, part, (carry[0][0], carry))


def _is_tiny(params: PyTree) -> bool:
    """Say whether the parameters of cells, `[cells, ...]`, are few."""
    return sum(math.prod(x.shape[1:]) for x in jax.tree.leaves(params)) <= TINY


def _uses_fft(loss: Loss, params: PyTree) -> bool:
    """Say whether a loss has a Fourier transform, which XLA refuses in any layout but its own."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), params)
    return "fft" in _operations(jax.make_jaxpr(lambda params: loss(params))(one).jaxpr)


def _operations(trace: Any) -> Iterator[str]:
    """Yield the operations of a traced program, and of those that it calls."""
    for equation in trace.eqns:
        yield equation.primitive.name
        for value in jax.tree.leaves(equation.params):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _operations(inner)


def largest(params: PyTree) -> Float[Array, ""]:
    """Size of the largest parameter."""
    return jnp.stack([jnp.abs(x).max(initial=0) for x in jax.tree.leaves(params)]).max()


def _cells_innermost(arrays: PyTree) -> PyTree:
    """Lay arrays `[cells, ...]` out in memory with the cells innermost, for vector registers."""
    return jax.tree.map(
        lambda x: with_layout_constraint(x, Layout((*range(1, x.ndim), 0))) if x.ndim > 1 else x,
        arrays,
    )
