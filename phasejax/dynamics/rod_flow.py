"""Rod flow: the midpoint and the half-length of two consecutive steps of any optimizer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from .._check import ArgumentError, whole
from .._types import Whole
from ..factory import Hyperparameters
from ..probes.base import Loss, Probe
from ..probes.response import Unknown, kinds_of
from ..problems.problem import Problem
from ..program import Program
from .optimizer import Optimizer, optimizer_of
from .steps import Steps


class RodState(NamedTuple):
    """State of a rod flow besides the parameters at the middle of the rod.

    - `begun`: whether a step has been taken.
    - `inner`: state of the optimizer at the middle.
    - `half`: half-length of parameters and state, flat.
    """

    begun: Bool[Array, ""]
    inner: PyTree
    half: Float[Array, " numbers"]


@dataclass(frozen=True, eq=False)
class RodFlow(Optimizer):
    r"""The flow of the middle and of the half-length of two steps of an optimizer, in steps.

    Let F be a step on z, the parameters together with the optimizer's state, V = F − id,
    $\bar z = (z + F(z))/2$, $\Delta = (F(z) - z)/2$, and $f$, $h$ half the sum and half the
    difference of $V(\bar z \pm \Delta)$. For the optimizer, these hold exactly:

    $$\bar z' - \bar z = f, \qquad
        \Delta'\Delta'^T - \Delta\Delta^T = \tfrac12 (ff^T + hh^T) - 2\Delta\Delta^T = M .$$

    The flow makes them differential equations (rod flow: arXiv 2602.01480 for gradient descent,
    2605.06821 for Adam and others), with a correction for the length of a step in the first one:

    $$\dot{\bar z} = f - \tfrac12 \bar J f, \qquad
        \dot\Delta = Mc - \tfrac12 (c^T M c)\,\Delta, \qquad
        c = \Delta_\theta / |\Delta_\theta|^2 ,$$

    with the mean $\bar J$ of the Jacobians of V at both ends. How Σ = ΔΔᵀ stays of rank one is a
    choice of phasejax: the rate of Σ agrees with M along the rod's own direction among the
    parameters, $\dot\Sigma c = Mc$. On a period-two orbit f = 0, h = −2Δ and M = 0, so it rests
    there and is exact. More than one direction cannot oscillate.

    The loss of a step is the mean of both ends. It costs no eigenvectors, and per substep four
    gradients and four products with the Hessian.

    ```python
    grid = pj.Grid(learning_rate=pj.log_axis(0.05, 0.5, 8))
    dataset = pj.sweep(pj.problems.deep_linear(), pj.rod_flow(optax.sgd), grid)
    ```

    **Arguments:**

    - `factory`, `settings`: the optimizer, as in `phasejax.Optimizer`.
    - `substeps`: steps of Heun's method per step.
    - `even`: which arrays of the optimizer's state are second moments, as `programs` finds out.
        They are kept from being negative at either end.

    Raises a `ValueError` for mini-batches.
    """

    substeps: Whole = 4
    even: tuple[bool, ...] = ()

    def programs(self, hyper: Hyperparameters, params: PyTree, windows: int) -> list[Program]:
        """Return the flow, which knows what of the optimizer's state is a second moment."""
        try:
            kinds = kinds_of(self.build_plain(hyper), params)
        except Unknown:
            kinds = ()
        known = replace(self, even=tuple(kind == "even" for kind in kinds))
        return super(RodFlow, known).programs(hyper, params, windows)

    def check_run(self, problem: Problem, horizon: float, windows: int, dtype: str) -> None:
        """Refuse mini-batches."""
        whole("substeps", self.substeps)
        if problem.batch_loss is not None:
            said = f" = '{problem.name}' draws mini-batches, which a flow can't follow"
            raise ArgumentError("problem", f"{said}: leave batch_size, or batch_loss, out")
        super().check_run(problem, horizon, windows, dtype)

    @property
    def name(self) -> str:
        """Name of the flow in results."""
        return f"rod flow of {super().name}"

    def with_probes(
        self, probes: Sequence[Probe], hyper: Hyperparameters, params: PyTree
    ) -> "Steps":
        """Return the same flow with probes; refuses those of an optimizer's state."""
        for probe in probes:
            if probe.of_optimizer:
                said = (
                    f" = {probe.name}: it looks at an optimizer's state, which a flow doesn't have"
                )
                raise ArgumentError("probes", said)
        return super().with_probes(probes, hyper, params)

    @property
    def config(self) -> dict[str, Any]:
        """Settings, and those of probes."""
        return {"substeps": int(self.substeps), **super().config}

    def init(self, rule: optax.GradientTransformation, params: PyTree) -> Any:
        """Return the state at the start, whose first step makes the rod."""
        inner = rule.init(params)
        flat, _ = ravel_pytree((params, eqx.filter(inner, eqx.is_inexact_array)))
        return RodState(jnp.zeros((), bool), inner, jnp.zeros_like(flat))

    def observed_step(
        self,
        rule: optax.GradientTransformation,
        loss: Loss,
        params: PyTree,
        state: Any,
        key: Any,
    ) -> tuple[Float[Array, ""], PyTree, PyTree, PyTree, PyTree]:
        """Follow the flow for the time of one step; the update is the change of the middle."""
        numbers, others = eqx.partition(state.inner, eqx.is_inexact_array)
        flat, unflatten = ravel_pytree((params, numbers))
        size = ravel_pytree(params)[0].size
        leaves, structure = jax.tree.flatten(state.inner)
        even = self.even or (False,) * len(leaves)
        masks = [jnp.full_like(x, e) for x, e in zip(leaves, even, strict=True)]
        mask = eqx.filter(jax.tree.unflatten(structure, masks), eqx.is_inexact_array)
        positive = ravel_pytree((jax.tree.map(jnp.zeros_like, params), mask))[0] > 0

        def moved(z: Float[Array, " numbers"]) -> tuple[Float[Array, " numbers"], PyTree]:
            at, inner = unflatten(z)
            _, after, inner, *_ = super(RodFlow, self).observed_step(
                rule, loss, at, eqx.combine(inner, others), key
            )
            inner, others_after = eqx.partition(inner, eqx.is_inexact_array)
            return ravel_pytree((after, inner))[0] - z, others_after

        first, later = moved(flat)
        middle = jnp.where(state.begun, flat, flat + first / 2)
        half = jnp.where(state.begun, state.half, first / 2)
        mean_loss = (loss(unflatten(middle + half)[0]) + loss(unflatten(middle - half)[0])) / 2
        dt = 1 / int(self.substeps)

        def heun(_: Any, rod: tuple[Array, Array]) -> tuple[Array, Array]:
            one = _rates(lambda z: moved(z)[0], size, positive, *rod)
            ahead = jax.tree.map(lambda x, rate: x + dt * rate, rod, one)
            other = _rates(lambda z: moved(z)[0], size, positive, *ahead)
            return jax.tree.map(lambda x, a, b: x + dt * (a + b) / 2, rod, one, other)

        middle_after, half = jax.lax.fori_loop(0, int(self.substeps), heun, (middle, half))
        after, numbers = unflatten(middle_after)
        updates = jax.tree.map(jnp.subtract, after, params)
        inner = eqx.combine(numbers, later)
        begun = jnp.ones((), bool)
        return mean_loss, after, RodState(begun, inner, half), jax.grad(loss)(params), updates


def _rates(
    velocity: Any,
    size: int,
    positive: Bool[Array, " numbers"],
    middle: Float[Array, " numbers"],
    half: Float[Array, " numbers"],
) -> tuple[Float[Array, " numbers"], Float[Array, " numbers"]]:
    """Rates of the middle and of the half-length; the first `size` numbers are parameters.

    Numbers that are `positive` are kept so at both ends, which is nothing new for two steps.
    """
    least = float(jnp.finfo(middle.dtype).tiny) ** 0.5  # at 0, the root has no derivative
    ends = jnp.stack([middle + half, middle - half])
    ends = jnp.where(positive, jnp.maximum(ends, least), ends)
    plus, minus = jax.vmap(velocity)(ends)
    f, h = (plus + minus) / 2, (plus - minus) / 2
    bent = jax.vmap(lambda z: jax.jvp(velocity, (z,), (f,))[1])(ends).mean(0)
    rod = half.at[size:].set(0)
    length = rod @ rod
    c = rod / jnp.where(length > 0, length, 1)
    along_f, along_h = f @ c, h @ c
    moving = (f * along_f + h * along_h) / 2 - 2 * half
    turning = (along_f**2 + along_h**2) / 2 - 2
    return f - bent / 2, moving - turning * half / 2


def rod_flow(optimizer: Any, substeps: Whole = 4) -> RodFlow:
    """Return the rod flow of an optimizer, whose hyper-parameters it has.

    **Arguments:** `optimizer` as in `phasejax.sweep`, and `substeps` as in `phasejax.RodFlow`.

    ```python
    pj.sweep(pj.problems.deep_linear(), pj.rod_flow(optax.sgd), pj.Grid(learning_rate=[0.3]))
    ```
    """
    given = optimizer_of(optimizer)
    return RodFlow(given.factory, given.settings, substeps)
