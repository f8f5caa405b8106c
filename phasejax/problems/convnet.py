"""The ten handwritten digits, classified by a small convolutional network."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._check import bad, whole
from .._types import AnyArray, Whole
from .batches import checked_batch_size, on_batch
from .handwriting import first_images
from .losses import cross_entropy
from .matmul import matmul
from .network import GAINS, Layers
from .problem import Problem

CLASSES = 10
"""Number of digits."""


def convnet(
    samples: Whole = 256, channels: Sequence[Whole] = (8, 16), batch_size: Whole | None = None
) -> Problem:
    """Classify images of the ten handwritten digits with a convolutional network of relu units.

    The data are the first `samples` images of scikit-learn's `load_digits`, 8 × 8 pixels scaled to
    [0, 1]. The network has three layers:

    1. a convolution with kernels of 3 × 3 pixels, a border of zeros and stride 2: 4 × 4 places;
    2. a convolution with kernels of 2 × 2 places and stride 2: 2 × 2 places;
    3. an affine map of all places and channels to ten logits.

    The loss is the cross-entropy, mean over the images: ln 10 if all logits are equal.

    **Arguments:**

    - `samples`: number of images, at most 1,797.
    - `channels`: numbers of channels of the two convolutions.
    - `batch_size`: number of images, drawn with replacement, in the gradient of each step; by
        default the gradient is that of all images, without noise. The recorded loss is always
        that of all images.

    Initial weights are normal with variance 2 / inputs, 1 / inputs in the last layer; biases are
    zero. The minimum is not known; the loss is bounded below by 0. Raises a `ValueError` for
    arguments other than these.
    """
    images, labels = first_images(samples)
    channels = tuple(whole("channels", count) for count in channels)
    if len(channels) != 2:
        raise bad("channels", channels, "two numbers of channels")
    batch_size = checked_batch_size(batch_size, len(images))
    data = patches(images.reshape(-1, 8, 8)), labels
    noisy = None
    if batch_size is not None:
        noisy = jax.tree_util.Partial(on_batch(convnet_loss, batch_size), *data)
    return Problem(
        loss=jax.tree_util.Partial(convnet_loss, *data),
        batch_loss=noisy,
        init=partial(_init, channels=channels),
        name="convnet",
        config={
            "samples": len(images),
            "channels": list(channels),
            **({"batch_size": batch_size} if batch_size else {}),
        },
    )


def patches(images: Float[np.ndarray, "samples 8 8"]) -> Float[np.ndarray, "9 4 4 samples"]:
    """Patches of 3 × 3 pixels with stride 2, so that convolutions become matrix products.

    The axes are the pixel of the patch; which of the 2 × 2 places that the second convolution
    combines; and which of its own 2 × 2 places, row by row each.
    """
    padded = np.zeros((len(images), 10, 10))
    padded[:, 1:-1, 1:-1] = images
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))[:, ::2, ::2]
    grouped = windows.reshape(-1, 2, 2, 2, 2, 9)  # sample, row, row in group, column, ...
    return np.ascontiguousarray(grouped.transpose(5, 2, 4, 1, 3, 0)).reshape(9, 4, 4, -1)


def _init(key: PRNGKeyArray, channels: tuple[int, int]) -> Layers:
    """Weights `[outputs, inputs]`, inputs channel by channel and row by row, and biases."""
    first, second = channels
    shapes = (first, 9), (second, 4 * first), (CLASSES, 4 * second)
    gains = GAINS["relu"], GAINS["relu"], GAINS["linear"]
    layers = []
    for (outputs, inputs), gain, subkey in zip(
        shapes, gains, jax.random.split(key, 3), strict=True
    ):
        weights = np.sqrt(gain / inputs) * jax.random.normal(subkey, (outputs, inputs))
        layers.append((weights, jnp.zeros(outputs)))
    return layers


def convnet_loss(
    patches: Float[AnyArray, "9 4 4 samples"], labels: Int[AnyArray, " samples"], layers: Layers
) -> Float[Array, ""]:
    """Return the cross-entropy of all images."""
    return cross_entropy(_outputs(patches, labels, layers), labels, axis=0)


def _outputs(
    patches: Float[AnyArray, "9 4 4 samples"], labels: Int[AnyArray, " samples"], layers: Layers
) -> Float[AnyArray, "classes samples"]:
    (kernels, first_bias), (second, second_bias), (last, last_bias) = layers
    samples = len(labels)
    x = jax.nn.relu(kernels @ patches.reshape(9, -1) + first_bias[:, None])
    x = matmul(second, x.reshape(-1, 4 * samples)) + second_bias[:, None]
    return matmul(last, jax.nn.relu(x).reshape(-1, samples)) + last_bias[:, None]


def _of_outputs(patches: AnyArray, labels: AnyArray, outputs: AnyArray) -> Float[Array, ""]:
    del patches
    return cross_entropy(outputs, labels, axis=0)


convnet_loss.parts = _outputs, _of_outputs  # pyright: ignore[reportFunctionMemberAccess]
