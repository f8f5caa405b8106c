"""Central flows: what an optimizer follows on average while it oscillates."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from .._check import ArgumentError, bad, whole
from .._types import Whole
from ..factory import Hyperparameters
from ..probes.base import Loss, Probe
from ..problems.problem import Problem, initial_params
from .adam import adam
from .central_step import Oscillation, curvature_slopes, euler
from .flow_report import AT_THE_EDGE, FlowReport, Report
from .optimizer import optimizer_of
from .rmsprop import rmsprop
from .scalar_rmsprop import scalar_rmsprop
from .slow_rule import SlowRule, Vector, slow_adam, slow_rmsprop, slow_scalar_rmsprop, slow_sgd
from .steps import ObservedSteps
from .subspace import first_vectors, leading_eigenvectors

SLOW_RULES: dict[Callable, Callable[..., SlowRule]] = {
    optax.sgd: slow_sgd,
    rmsprop: slow_rmsprop,
    scalar_rmsprop: slow_scalar_rmsprop,
    adam: slow_adam,
}
"""Optimizers whose central flow is known, and their rules."""
MOST_DIRECTIONS = 4
"""Largest `directions`: the iterations of `complementarity` converge more slowly for more."""


class CentralState(NamedTuple):
    """State of a central flow besides its parameters.

    - `begun`: whether a step has been taken.
    - `slow`: state of the rule.
    - `vectors`: leading eigenvectors of P^(−1/2) H P^(−1/2) at the start of the last step; two more
        than `directions`, to see what is left out, and to look for others.
    - `covariance`: X of the last substep.
    - `report`: what is recorded of the last step.
    """

    begun: Bool[Array, ""]
    slow: PyTree
    vectors: Float[Array, "tracked size"]
    covariance: Float[Array, "k k"]
    report: Report


@dataclass(frozen=True, eq=False)
class CentralFlow(ObservedSteps):
    r"""The time average of an optimizer that oscillates, as a flow; its time is in steps.

    With the loss L, its Hessian H, the preconditioner P (1/η for gradient descent) and the
    covariance Σ of the oscillation, a positive semidefinite matrix,

    $$\dot w = -P^{-1}\left[\nabla L + \tfrac12 \nabla \langle H, \Sigma \rangle\right], \qquad
        0 \preceq \Sigma \perp 2P - H \succeq 0$$

    (Cohen et al., arXiv 2410.24206). Second moments follow the mean square gradient,
    $g^2 + \mathrm{diag}(H \Sigma H)$. Σ is zero below the edge of stability; at the edge it is what
    keeps the largest eigenvalue of $P^{-1}H$ from rising above 2. The loss of a step, of which the
    results have the statistics, is the mean loss that the flow predicts, L + ½⟨H, Σ⟩, because that
    can be compared with the mean loss of the optimizer; L itself is `flow_loss`.

    A step is `substeps` steps of Euler's method. Σ is U X Uᵀ with the `directions` leading
    eigenvectors U, P-orthonormal. They and the slopes of UᵀHU are found once per step; U by
    products with the Hessian, from that of the step before. X solves the condition above at the end
    of a substep, to first order.

    Further variables per window (`phasejax.dynamics.flow_report`): `flow_loss`, `flow_edge_ratio`,
    `flow_directions`, `flow_beyond`, `flow_variance` and `flow_residual`. Where `flow_beyond` is
    above 1, a direction beyond the edge is not followed: take more directions.

    ```python
    grid = pj.Grid(learning_rate=pj.log_axis(0.05, 0.5, 8))
    flow = pj.sweep(pj.problems.digits(activation="tanh"), pj.central_flow(optax.sgd), grid)
    ```

    **Arguments:**

    - `factory`: a function of hyper-parameters that returns a `phasejax.dynamics.SlowRule`;
        `phasejax.central_flow(optimizer)` finds that of an optimizer.
    - `settings`: arguments of `factory` that no grid varies.
    - `directions`: eigenvectors that may oscillate, 0 to 4. With 0, Σ = 0: the stable flow.
    - `substeps`: steps of Euler's method per step. The stable flow is followed up to an eigenvalue
        of P⁻¹H of 2 · `substeps`, beyond which Euler's method oscillates by itself.

    Raises a `ValueError` for mini-batches, for too many `directions`, and for a problem with fewer
    parameters.
    """

    directions: Whole = 2
    substeps: Whole = 4

    def check_values(self, hyper: Hyperparameters) -> None:
        """Build the rule once with plain values, so that it can refuse them."""
        rule = self.build_plain(hyper)
        if not isinstance(rule, SlowRule):
            raise TypeError(
                f"dynamics = {self.name} returned {type(rule).__name__}; a central flow needs a "
                "phasejax.dynamics.SlowRule: phasejax.central_flow(optimizer) finds one"
            )

    def check_run(self, problem: Problem, horizon: float, windows: int, dtype: str) -> None:
        """Refuse mini-batches, and more directions than there are parameters."""
        whole("directions", self.directions, least=0, most=MOST_DIRECTIONS)
        whole("substeps", self.substeps)
        if problem.batch_loss is not None:
            said = f" = '{problem.name}' draws mini-batches, which a flow can't follow"
            raise ArgumentError("problem", f"{said}: leave batch_size, or batch_loss, out")
        size = sum(x.size for x in jax.tree.leaves(initial_params(problem, 0)))
        if self.directions > size:
            raise bad("directions", self.directions, f"at most {size}, the number of parameters")
        super().check_run(problem, horizon, windows, dtype)

    @property
    def name(self) -> str:
        """Name of the flow in results."""
        known = {rule: optimizer.__name__ for optimizer, rule in SLOW_RULES.items()}
        kind = "central" if self.directions else "stable"
        return f"{kind} flow of {known.get(self.factory, super().name)}"

    @property
    def own_probes(self) -> tuple[Probe, ...]:
        """What every central flow reports."""
        return (FlowReport(),)

    @property
    def config(self) -> dict[str, Any]:
        """Settings, and those of probes."""
        settings = {"directions": int(self.directions), "substeps": int(self.substeps)}
        return settings | super().config

    def init(self, rule: SlowRule, params: PyTree) -> CentralState:
        """Return the state before the first step, whose gradient begins that of the rule."""
        flat, _ = ravel_pytree(params)
        k, size = int(self.directions), flat.size
        vectors = first_vectors(min(k + 2, size), size, flat.dtype)
        zero = jnp.zeros((), flat.dtype)
        return CentralState(
            jnp.zeros((), bool),
            rule.init(jnp.zeros_like(flat)),
            jnp.asarray(vectors),
            jnp.zeros((k, k), flat.dtype),
            Report(*(zero for _ in Report._fields)),
        )

    def observed_step(
        self, rule: SlowRule, loss: Loss, params: PyTree, state: CentralState, key: Any
    ) -> tuple[Float[Array, ""], PyTree, CentralState, PyTree, PyTree]:
        """Follow the flow for the time of one step; the update is the change of the parameters."""
        del key
        flat, unflatten = ravel_pytree(params)

        def flat_loss(x: Vector) -> Float[Array, ""]:
            return loss(unflatten(x))

        value, grads = jax.value_and_grad(flat_loss)(flat)
        slow = jax.tree.map(
            lambda first, later: jnp.where(state.begun, later, first), rule.init(grads), state.slow
        )
        k, dt = int(self.directions), 1 / int(self.substeps)
        root = 1 / jnp.sqrt(rule.preconditioner(slow))
        _, product = jax.linearize(jax.grad(flat_loss), flat)
        found = leading_eigenvectors(lambda x: root * product(root * x), state.vectors)
        u = root * found.vectors[:k]
        oscillation = Oscillation(u, curvature_slopes(flat_loss, flat, u))

        def substep(carry: tuple[Vector, PyTree, Array], _: None) -> tuple[Any, Array]:
            carry = euler(rule, flat_loss, dt, oscillation, *carry)
            return carry, carry[-1]

        start = flat, slow, state.covariance
        (end, slow, last), all_x = jax.lax.scan(substep, start, length=int(self.substeps))
        x, ratios = all_x[0], found.values / rule.threshold
        report = Report(
            value,
            ratios[0],
            jnp.sum(ratios[:k] >= AT_THE_EDGE).astype(value.dtype),
            ratios[k] if len(ratios) > k else jnp.zeros_like(value),
            jnp.sum(x * (u @ u.T)),
            found.residuals[0] / jnp.abs(found.values[0]),
        )
        mean_loss = value + 0.5 * jnp.sum(jnp.diagonal(x) * found.values[:k])
        after = CentralState(jnp.ones((), bool), slow, found.vectors, last, report)
        return mean_loss, unflatten(end), after, unflatten(grads), unflatten(end - flat)


def central_flow(optimizer: Callable, directions: Whole = 2, substeps: Whole = 4) -> CentralFlow:
    """Return the central flow of an optimizer, whose hyper-parameters it has.

    **Arguments:**

    - `optimizer`: `optax.sgd` or `phasejax.rmsprop` without momentum, `phasejax.scalar_rmsprop`,
        `phasejax.adam`, or a `functools.partial` of one. What is known of Adam's is said in
        `phasejax.dynamics.slow_rule.slow_adam`.
    - `directions`, `substeps`: as in `phasejax.CentralFlow`.

    Raises a `ValueError` for any other optimizer. For one of your own, write a function of its
    hyper-parameters that returns a `phasejax.dynamics.SlowRule`, and give it to
    `phasejax.CentralFlow`.

    ```python
    pj.sweep(pj.problems.deep_linear(), pj.central_flow(optax.sgd), pj.Grid(learning_rate=[0.3]))
    ```
    """
    given = optimizer_of(optimizer)
    if given.factory not in SLOW_RULES:
        known = ", ".join(
            getattr(o, "__module__", "").partition(".")[0] + "." + o.__name__ for o in SLOW_RULES
        )
        said = getattr(given.factory, "__module__", "").partition(".")[0] + "." + given.name
        raise bad("optimizer", said, f"one whose central flow is known: {known}")
    rule = SLOW_RULES[given.factory]
    known = inspect.signature(rule).parameters
    if extra := [name for name, _ in given.settings if name not in known]:
        said = f"{given.name} with {', '.join(extra)}"
        raise bad("optimizer", said, f"one of which no more is set than {', '.join(known)}")
    return CentralFlow(rule, given.settings, directions, substeps)


def stable_flow(optimizer: Callable, substeps: Whole = 4) -> CentralFlow:
    """Return the flow of an optimizer without oscillation, Σ = 0; time is in steps.

    It is `phasejax.central_flow` with 0 directions, and has its arguments and errors. Beyond the
    edge of stability, curvature goes on to grow. Above an eigenvalue of P⁻¹H of 2 · `substeps`,
    Euler's method oscillates, and holds it there: take more.

    ```python
    pj.sweep(pj.problems.deep_linear(), pj.stable_flow(optax.sgd), pj.Grid(learning_rate=[0.3]))
    ```
    """
    return central_flow(optimizer, 0, substeps)
