"""Real handwritten digits and a small network: the problem of the main diagram."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._check import bad, choice, whole
from .._types import AnyArray
from .network import ACTIVATIONS, Layers, network, network_init
from .problem import Problem

Samples = Float[AnyArray, " samples"]


def mse(outputs: Samples, targets: Samples) -> Float[Array, ""]:
    """Mean squared error."""
    return jnp.mean((outputs - targets) ** 2)


def logistic(outputs: Samples, targets: Samples) -> Float[Array, ""]:
    """Mean logistic loss log(1 + exp(−target·output)) for targets ±1."""
    return jnp.mean(jax.nn.softplus(-targets * outputs))


LOSSES: dict[str, Callable] = {"mse": mse, "logistic": logistic}


def digits(
    digits: Sequence[int] = (0, 1),
    samples: int = 64,
    hidden: Sequence[int] = (16, 16),
    activation: str = "relu",
    loss: str = "mse",
) -> Problem:
    """Tell two handwritten digits apart with a fully connected network, full batch.

    The data are the first `samples` scans of the two digits in scikit-learn's `load_digits`
    (8 × 8 pixels, scaled to [0, 1]), with targets −1 for the first digit and +1 for the second.

    **Arguments:**

    - `digits`: the two digits, each 0 to 9.
    - `samples`: how many scans; at most as many as the data set has (about 360).
    - `hidden`: widths of the hidden layers; the network is 64-`hidden`-1.
    - `activation`: one of relu, tanh, gelu, softplus, linear.
    - `loss`: `"mse"` or `"logistic"`.

    Weights start normal with variance 2 / inputs (relu, gelu; He et al. 2015) or 1 / inputs,
    biases at zero. The minimum is not known in closed form; both losses are bounded below by 0.
    """
    digits, hidden = tuple(digits), tuple(hidden)
    if len(digits) != 2 or len(set(digits)) != 2 or not set(digits) <= set(range(10)):
        raise bad("digits", digits, "two different digits from 0 to 9")
    if not hidden:
        raise bad("hidden", hidden, "one or more layer widths")
    for width in hidden:
        whole("hidden", width)
    whole("samples", samples, least=2)
    choice("activation", activation, ACTIVATIONS)
    choice("loss", loss, LOSSES)
    images, targets = _scans(digits)
    if samples > len(targets):
        raise bad("samples", samples, f"at most {len(targets)}, all there are of digits {digits}")
    return Problem(
        loss=jax.tree_util.Partial(
            _network_loss(activation, loss), images[:, :samples], targets[:samples]
        ),
        init=partial(network_init, widths=(64, *hidden, 1), activation=activation),
        name="digits",
        config={
            "digits": list(digits),
            "samples": samples,
            "hidden": list(hidden),
            "activation": activation,
            "loss": loss,
        },
    )


@lru_cache
def _scans(digits: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # half a second that toy problems need not wait for

    data: Any = load_digits()
    images, labels = data.data, data.target
    chosen = np.isin(labels, digits)
    targets = np.where(labels[chosen] == digits[0], -1.0, 1.0)
    return np.ascontiguousarray(images[chosen].T) / 16, targets


@lru_cache
def _network_loss(activation: str, loss: str) -> Callable:
    """One function object per (activation, loss), so that equal problems compile once."""

    def network_loss(
        images: Float[AnyArray, "64 samples"], targets: Float[AnyArray, " samples"], layers: Layers
    ) -> Float[Array, ""]:
        return LOSSES[loss](network(layers, activation, images), targets)

    return network_loss
