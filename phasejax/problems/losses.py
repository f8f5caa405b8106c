"""Losses of outputs and targets: means over samples, for regression and classification."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from .._check import bad
from .._types import AnyArray


def mse(
    outputs: Float[AnyArray, "*samples"], targets: Float[AnyArray, "*samples"]
) -> Float[Array, ""]:
    """Mean squared error, over samples and numbers of a sample."""
    return jnp.mean((outputs - targets) ** 2)


def logistic(
    outputs: Float[AnyArray, "*samples"], targets: Float[AnyArray, "*samples"]
) -> Float[Array, ""]:
    """Mean logistic loss log(1 + exp(−target·output)) for targets ±1."""
    return jnp.mean(jax.nn.softplus(-targets * outputs))


def cross_entropy(
    logits: Float[AnyArray, "..."], labels: Int[AnyArray, "..."], axis: int = -1
) -> Float[Array, ""]:
    """Mean of −log softmax(logits)[label], in nats; log(classes) for logits that are all equal.

    **Arguments:**

    - `logits`: one number per class along `axis`: `[..., classes]` by default. On a CPU,
        `axis=0`, `[classes, samples]`, is faster: sums over classes then run in vector registers.
    - `labels`: the class of each sample, integers from 0 to classes − 1, with the shape of `logits`
        without `axis`. A label out of range makes the loss nan: its value is not known when JAX
        traces the loss.

    Raises a `ValueError` if the shapes do not agree.
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    axis = range(logits.ndim)[axis]
    if labels.shape != logits.shape[:axis] + logits.shape[axis + 1 :]:
        shapes = f"{logits.shape} and {labels.shape}"
        raise bad("shapes of logits, labels", shapes, f"equal without the classes, axis {axis}")
    classes = lax.broadcasted_iota(labels.dtype, logits.shape, axis)
    # A masked sum, because the gradient of a gather is a scatter, which is slow on a CPU.
    own = jnp.sum(jnp.where(classes == jnp.expand_dims(labels, axis), logits, 0), axis)
    known = (labels >= 0) & (labels < logits.shape[axis])
    losses = jax.nn.logsumexp(logits, axis) - own
    return jnp.mean(jnp.where(known, losses, jnp.nan))
