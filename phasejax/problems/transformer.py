"""Parts of a small transformer: pure functions of matrices whose columns are samples.

Activations are `[width, columns]`, because XLA's CPU backend multiplies weights `[outputs, inputs]`
with them fastest. There is no layer normalization and no dropout.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from .._check import bad
from .._types import AnyArray
from .matmul import matmul
from .network import GAINS

Weights = dict[str, Float[AnyArray, "..."]]
"""Parameters of a transformer by name."""


def check_heads(heads: int, width: int) -> None:
    """Refuse a number of heads that does not divide the width."""
    if width % heads:
        raise bad("heads", heads, f"a divisor of width = {width}")


def transformer_init(
    key: PRNGKeyArray, symbols: int, classes: int, positions: int, width: int, hidden: int
) -> Weights:
    """Draw the parameters of one layer with embedding and unembedding.

    `embed` `[width, symbols]` and `position` `[width, positions]` have variance 1 / width. The
    weights `query`, `key`, `value`, `output`, `down` and `unembed` `[classes, width]` have variance
    1 / inputs, and `up` 2 / inputs. Biases of the hidden layer and its output are zero.
    """
    shapes = {
        "embed": (width, symbols),
        "position": (width, positions),
        "query": (width, width),
        "key": (width, width),
        "value": (width, width),
        "output": (width, width),
        "up": (hidden, width),
        "down": (width, hidden),
        "unembed": (classes, width),
    }
    weights: Weights = {"up_bias": jnp.zeros(hidden), "down_bias": jnp.zeros(width)}
    for name, subkey in zip(shapes, jax.random.split(key, len(shapes)), strict=True):
        inputs = width if name in ("embed", "position") else shapes[name][1]
        gain = GAINS["relu"] if name == "up" else 1.0
        weights[name] = np.sqrt(gain / inputs) * jax.random.normal(subkey, shapes[name])
    return weights


def hidden_layer(
    weights: Weights, x: Float[AnyArray, "width columns"]
) -> Float[AnyArray, "width columns"]:
    """Add down · relu(up · x), with biases, to x."""
    hidden = jax.nn.relu(matmul(weights["up"], x) + weights["up_bias"][:, None])
    return x + matmul(weights["down"], hidden) + weights["down_bias"][:, None]
