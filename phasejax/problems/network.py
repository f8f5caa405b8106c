"""A fully connected network on data: the problem, and pure functions of a list of layers."""

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from .._check import bad, choice, whole
from .._types import AnyArray, Whole
from .losses import logistic, mse
from .matmul import matmul
from .problem import Problem

Layers = list[tuple[Float[AnyArray, "_ _"], Float[AnyArray, " _"]]]
"""Weights `[outputs, inputs]` and bias `[outputs]` of each layer."""

ACTIVATIONS: dict[str, Callable] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "linear": lambda x: x,
}
"""Activations by name."""
GAINS = {"relu": 2.0, "gelu": 2.0, "softplus": 1.0, "tanh": 1.0, "linear": 1.0}
"""Variance of the initial weights times the number of inputs of the layer.

He et al. (2015) for activations that are zero for half of their inputs, LeCun et al. (1998) for the
others.
"""

LOSSES: dict[str, Callable] = {"mse": mse, "logistic": logistic}
"""Loss functions of outputs and targets, by name."""


def network(
    inputs: ArrayLike,
    targets: ArrayLike,
    hidden: Sequence[Whole] = (16, 16),
    activation: str = "relu",
    loss: str = "mse",
    name: str = "network",
    batch_size: Whole | None = None,
) -> Problem:
    """Fit data with a fully connected network of one output.

    **Arguments:**

    - `inputs`, `targets`: the data, `[samples, inputs]` and `[samples]`, finite; targets are ±1
        for the logistic loss. The data are not rescaled: scale them to order one first.
    - `hidden`: widths of the hidden layers; the network is inputs-`hidden`-1.
    - `activation`: one of relu, tanh, gelu, softplus, linear.
    - `loss`: `"mse"` or `"logistic"`.
    - `name`: name of the problem in results.
    - `batch_size`: number of samples, drawn with replacement, in the gradient of each step; by
        default the gradient is that of all samples, without noise. The recorded loss is always
        that of all samples.

    Initial weights are normal with variance 2 / inputs (relu, gelu; He et al. 2015) or 1 / inputs;
    biases start at zero. The minimum is not known; both losses are bounded below by 0. Raises a
    `ValueError` for arguments other than these.
    """
    inputs, targets = np.asarray(inputs, float), np.asarray(targets, float)
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
        shapes = f"{inputs.shape} and {targets.shape}"
        raise bad("shapes of inputs, targets", shapes, "[samples, inputs] and [samples]")
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise ValueError("inputs, targets: must be finite numbers")
    hidden = tuple(whole("hidden", width) for width in hidden)
    if not hidden:
        raise bad("hidden", hidden, "one or more layer widths")
    choice("activation", activation, ACTIVATIONS)
    choice("loss", loss, LOSSES)
    if batch_size is not None:
        batch_size = whole("batch_size", batch_size)
    if loss == "logistic" and not np.isin(targets, (-1, 1)).all():
        raise bad("targets", sorted(set(targets))[:4], "-1 or 1 for the logistic loss")
    data = np.ascontiguousarray(inputs.T), targets
    noisy = None
    if batch_size is not None:
        noisy = jax.tree_util.Partial(_batch_loss(activation, loss, batch_size), *data)
    return Problem(
        loss=jax.tree_util.Partial(_network_loss(activation, loss), *data),
        batch_loss=noisy,
        init=partial(network_init, widths=(inputs.shape[1], *hidden, 1), activation=activation),
        name=name,
        config={
            "hidden": list(hidden),
            "activation": activation,
            "loss": loss,
            **({"batch_size": batch_size} if batch_size else {}),
        },
    )


@lru_cache
def _network_loss(activation: str, loss: str) -> Callable:
    """The loss on given data; cached, so that equal problems share one compiled program."""

    def network_loss(
        inputs: Float[AnyArray, "inputs samples"],
        targets: Float[AnyArray, " samples"],
        layers: Layers,
    ) -> Float[Array, ""]:
        return LOSSES[loss](forward(layers, activation, inputs), targets)

    def outputs(inputs: AnyArray, targets: AnyArray, layers: Layers) -> AnyArray:
        del targets
        return forward(layers, activation, inputs)

    def of_outputs(inputs: AnyArray, targets: AnyArray, outputs: AnyArray) -> Float[Array, ""]:
        del inputs
        return LOSSES[loss](outputs, targets)

    network_loss.parts = outputs, of_outputs  # pyright: ignore[reportFunctionMemberAccess]
    return network_loss


@lru_cache
def _batch_loss(activation: str, loss: str, batch_size: int) -> Callable:
    """The loss on a mini-batch that is drawn with replacement from the given data."""
    of_samples = _network_loss(activation, loss)

    def batch_loss(
        inputs: Float[AnyArray, "inputs samples"],
        targets: Float[AnyArray, " samples"],
        layers: Layers,
        key: PRNGKeyArray,
    ) -> Float[Array, ""]:
        drawn = jax.random.randint(key, (batch_size,), 0, len(targets))
        return of_samples(jnp.take(inputs, drawn, axis=1), jnp.take(targets, drawn), layers)

    return batch_loss


def network_init(key: PRNGKeyArray, widths: Sequence[int], activation: str) -> Layers:
    """Draw normal weights of variance gain / inputs; biases are zero. In JAX's default dtype."""
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        key, subkey = jax.random.split(key)
        scale = np.sqrt(GAINS[activation] / inputs)
        layers.append((scale * jax.random.normal(subkey, (inputs, outputs)).T, jnp.zeros(outputs)))
    return layers


def forward(
    layers: Layers, activation: str, x: Float[AnyArray, "inputs samples"]
) -> Float[AnyArray, " samples"]:
    """Apply a network with one output."""
    return all_outputs(layers, activation, x)[0]


def all_outputs(
    layers: Layers, activation: str, x: Float[AnyArray, "inputs samples"]
) -> Float[AnyArray, "outputs samples"]:
    """Apply a network: affine maps with `activation` in between.

    Samples are the last axis of the data, so that XLA can multiply the first layers of all cells
    with the shared data in one matrix product.
    """
    (weights, bias), *rest = layers
    x = weights @ x + bias[:, None]
    for weights, bias in rest:
        x = matmul(weights, ACTIVATIONS[activation](x)) + bias[:, None]
    return x
