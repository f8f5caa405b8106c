"""Curvature: the sharpness that an optimizer sees, beside its threshold."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from .._check import bad, choice, whole
from ..problems.problem import Problem
from .base import End, Probe, Quantity
from .differentiable import check_second_derivative
from .filter import threshold
from .hessian import gauss_newton_of, hessian_of, parts_of
from .lanczos import Eigenpairs, fixed_direction, lanczos
from .response import Kind, Unknown, kinds_of, respond

WHICH = ("largest", "modulus")
MIXED = 0.01
"""Share of a fixed direction in the vector from which the next window begins."""


@dataclass(frozen=True)
class Sharpness(Probe):
    r"""Sharpness at the end of every window, and its ratio to the optimizer's threshold.

    Frozen at the moment, an optimizer moves each parameter by a filter of its gradients, with an
    effective step $d_i$ in the long run: η for gradient descent, $\eta / ((1 - \beta_1^t)
    (\sqrt{\hat v_i} + \epsilon))$ for Adam. The (preconditioned) sharpness is

    $$\eta S = \lambda_\max(D^{1/2} H D^{1/2}), \qquad D = \mathrm{diag}(d),$$

    with the Hessian H of the loss on all data (Cohen et al., arXiv 2207.14484). The optimizer is
    stable at rest as long as ηS is below its threshold: 2 for gradient descent and RMSprop,
    2(1 + β)/(1 − β) for Adam and heavy-ball momentum, 2(1 + β)/((1 − β)(1 + 2β)) for Nesterov's.
    `edge_ratio` is ηS over that; 1 is the edge of stability. Steps and threshold are read off from
    how the optimizer's update responds to gradients, for any optimizer of the optax protocol that
    is linear in the gradient once its second moments are frozen. With mini-batches, second moments
    are those after the last step, otherwise those that the next step will use.

    For other optimizers (sign descent, trust ratios, matrices as preconditioners), and in windows
    in which gradient clipping is active, `edge_ratio` is nan; without such a response, `sharpness`
    is that of the Hessian itself, in loss / parameter².

    The Hessian of a network is indefinite; the largest eigenvalue counts, since the negative ones
    are no limit to the step. At the kinks of relu, JAX's derivative is that of one side; a window
    that ends there sees the curvature of that side.

    **Arguments:**

    - `products`: products with the Hessian per window. They continue from the eigenvector of the
        window before. More converge better: see `sharpness_residual`.
    - `count`: number of eigenvalues; the others are `sharpness_2`, ...
    - `which`: "largest", or "modulus" for those of largest absolute value.
    - `gauss_newton`: take the Gauss-Newton part of the Hessian, which is positive semidefinite. The
        loss needs an attribute `parts`, which those of `phasejax.problems.network` have: two
        functions, from parameters to outputs, and from outputs to the loss.
    - `kinds`, `reason`: what `bind` found out about the optimizer.
    """

    name: ClassVar[str] = "sharpness"
    of_optimizer = True
    products: int = 10
    count: int = 1
    which: Literal["largest", "modulus"] = "largest"
    gauss_newton: bool = False
    kinds: tuple[Kind, ...] | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        whole("products", self.products, least=2)
        whole("count", self.count, most=self.products)
        choice("which", self.which, WHICH)

    @property
    def variables(self) -> Mapping[str, Quantity]:
        """Eigenvalues, the ratio to the threshold, and whether they have converged."""
        of, units = ("preconditioned Hessian", "1")
        if self.reason:
            of, units = "Hessian", "loss / parameter^2"
        more = {
            f"sharpness_{place}": Quantity(f"eigenvalue {place} of the {of}", units)
            for place in range(2, self.count + 1)
        }
        missing = f" (unknown: {self.reason})" if self.reason else ""
        return {
            "sharpness": Quantity(
                f"largest eigenvalue of the {of} at the end of the window", units
            ),
            **more,
            "edge_ratio": Quantity(f"sharpness over the optimizer's threshold{missing}"),
            "sharpness_residual": Quantity("residual of the eigenvalue, relative to it"),
        }

    @property
    def config(self) -> Any:
        """Settings."""
        names = ("products", "count", "which", "gauss_newton")
        return {name: getattr(self, name) for name in names}

    def check(self, problem: Problem, params: PyTree[np.ndarray], dtype: str) -> None:
        """Refuse a loss without second derivatives, and fewer parameters than eigenvalues."""
        check_second_derivative(self.name, problem, params, dtype)
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        whole("count", self.count, most=size)
        if self.gauss_newton:
            try:
                parts_of(problem.objective)
            except (AttributeError, TypeError):
                said = f"the loss of problem '{problem.name}' has no attribute parts"
                raise bad("gauss_newton", True, f"False: {said}") from None

    def bind(self, rule: Any, params: PyTree[np.ndarray], state: PyTree) -> "Sharpness":
        """Find out what the optimizer's state is made of."""
        del state
        try:
            return replace(self, kinds=kinds_of(rule, params), reason="")
        except Unknown as reason:
            return replace(self, kinds=None, reason=str(reason))

    def start(self, params: PyTree, state: PyTree) -> Float[Array, " size"]:
        """Begin with a fixed direction."""
        flat, _ = ravel_pytree(params)
        return jnp.asarray(fixed_direction(flat.size, flat.dtype))

    def window(
        self, memory: Float[Array, " size"], end: End
    ) -> tuple[Float[Array, " size"], dict[str, Float[Array, ""]]]:
        """Find the largest eigenvalues, from the eigenvectors of the window before."""
        found, limit = self.eigenpairs(memory, end)
        largest = found.values[0]
        more = {f"sharpness_{k}": found.values[k - 1] for k in range(2, self.count + 1)}
        direction = found.vectors.sum(0)
        usable = jnp.all(jnp.isfinite(direction)) & (direction @ direction > 0)
        # A little of everything, so that a direction that becomes the sharpest is found.
        mixed = direction + MIXED * fixed_direction(direction.size, direction.dtype)
        return jnp.where(usable, mixed, memory), {
            "sharpness": largest,
            **more,
            "edge_ratio": largest / limit,
            "sharpness_residual": found.residuals[0] / jnp.abs(largest),
        }

    def eigenpairs(
        self, start: Float[Array, " size"], end: End
    ) -> tuple[Eigenpairs, Float[Array, ""]]:
        """Return eigenvalues with their vectors, and the threshold; nan if it is not known."""
        curvature = gauss_newton_of if self.gauss_newton else hessian_of
        grads, product = curvature(end.loss, end.params)
        scale, limit = jnp.ones_like(start), jnp.asarray(jnp.nan, start.dtype)
        if self.kinds is not None:
            frozen = end.state if end.batched else None
            response = respond(end.rule, self.kinds, end.state, end.params, grads, frozen)
            scale = jnp.sqrt(response.gain)
            limit = jnp.where(response.known, threshold(response.filter), limit)
        modulus = self.which == "modulus"
        pairs = lanczos(
            lambda x: scale * product(scale * x), start, self.products, self.count, modulus
        )
        return pairs, limit
