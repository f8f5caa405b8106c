"""Fully connected networks as pure functions of a list of layers."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from .._types import AnyArray

Layers = list[tuple[Float[AnyArray, "_ _"], Float[AnyArray, " _"]]]

ACTIVATIONS: dict[str, Callable] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "linear": lambda x: x,
}
# Variance of the weights times the number of inputs: He et al. (2015) where half the units are
# dead on average, LeCun et al. (1998) elsewhere.
GAINS = {"relu": 2.0, "gelu": 2.0, "softplus": 1.0, "tanh": 1.0, "linear": 1.0}


def network_init(key: PRNGKeyArray, widths: Sequence[int], activation: str) -> Layers:
    """Draw normal weights of variance gain / inputs, and zero biases, in JAX's default dtype."""
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        key, subkey = jax.random.split(key)
        scale = np.sqrt(GAINS[activation] / inputs)
        layers.append((scale * jax.random.normal(subkey, (inputs, outputs)), jnp.zeros(outputs)))
    return layers


def network(
    layers: Layers, activation: str, x: Float[AnyArray, "samples inputs"]
) -> Float[AnyArray, " samples"]:
    """Apply a network with one output: affine maps with `activation` in between."""
    for weights, bias in layers[:-1]:
        x = ACTIVATIONS[activation](x @ weights + bias)
    weights, bias = layers[-1]
    return (x @ weights + bias)[:, 0]
