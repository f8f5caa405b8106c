"""Images of handwritten digits, reconstructed by a network with a narrow layer."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import jax
import numpy as np
from jaxtyping import Array, Float

from .._check import bad, choice, whole
from .._types import AnyArray, Whole
from .batches import checked_batch_size, on_batch
from .handwriting import first_images
from .losses import mse
from .network import ACTIVATIONS, Layers, all_outputs, network_init
from .problem import Problem


def autoencoder(
    samples: Whole = 256,
    hidden: Sequence[Whole] = (32, 8, 32),
    activation: str = "tanh",
    batch_size: Whole | None = None,
) -> Problem:
    """Reconstruct images of handwritten digits with a fully connected network.

    The data are the first `samples` images of scikit-learn's `load_digits`, all ten digits, 8 × 8
    pixels scaled to [0, 1]. The loss is the mean squared error of the pixels.

    **Arguments:**

    - `samples`: number of images, at most 1,797.
    - `hidden`: widths of the hidden layers; the network is 64-`hidden`-64.
    - `activation`: one of relu, tanh, gelu, softplus, linear; the output is linear.
    - `batch_size`: number of images, drawn with replacement, in the gradient of each step; by
        default the gradient is that of all images, without noise. The recorded loss is always
        that of all images.

    The initial weights are those of `phasejax.problems.network`. The minimum is not known; the loss
    is bounded below by 0. Raises a `ValueError` for arguments other than these.
    """
    images, _ = first_images(samples)
    hidden = tuple(whole("hidden", width) for width in hidden)
    if not hidden:
        raise bad("hidden", hidden, "one or more layer widths")
    choice("activation", activation, ACTIVATIONS)
    batch_size = checked_batch_size(batch_size, len(images))
    pixels, loss = np.ascontiguousarray(images.T), _reconstruction_loss(activation)
    noisy = None
    if batch_size is not None:
        noisy = jax.tree_util.Partial(on_batch(loss, batch_size), pixels)
    return Problem(
        loss=jax.tree_util.Partial(loss, pixels),
        batch_loss=noisy,
        init=partial(network_init, widths=(64, *hidden, 64), activation=activation),
        name="autoencoder",
        config={
            "samples": len(images),
            "hidden": list(hidden),
            "activation": activation,
            **({"batch_size": batch_size} if batch_size else {}),
        },
    )


@lru_cache
def _reconstruction_loss(activation: str) -> Callable:
    """The loss on given images; cached, so that equal problems share one compiled program."""

    def reconstruction_loss(
        images: Float[AnyArray, "pixels samples"], layers: Layers
    ) -> Float[Array, ""]:
        return mse(outputs(images, layers), images)

    def outputs(images: Float[AnyArray, "pixels samples"], layers: Layers) -> AnyArray:
        return all_outputs(layers, activation, images)

    reconstruction_loss.parts = outputs, _of_outputs  # pyright: ignore[reportFunctionMemberAccess]
    return reconstruction_loss


def _of_outputs(images: AnyArray, outputs: AnyArray) -> Float[Array, ""]:
    return mse(outputs, images)
