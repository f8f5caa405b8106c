"""Addition modulo a number, learned by a transformer of one layer from a part of all pairs."""

from collections.abc import Callable
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .._check import bad, is_finite_number, whole
from .._types import AnyArray, Whole
from .losses import cross_entropy
from .matmul import matmul
from .problem import Problem
from .transformer import Weights, check_heads, hidden_layer, transformer_init


def modular_addition(
    modulus: Whole = 11,
    width: Whole = 24,
    heads: Whole = 4,
    hidden: Whole = 64,
    fraction: float = 0.8,
    split_seed: Whole = 0,
) -> Problem:
    """Learn (first + second) mod `modulus` with a transformer of one layer, full batch.

    The model of Nanda et al. (2023), smaller: the three tokens first, second and "=" are embedded,
    with a position each; one layer of causal attention and one hidden layer of relu, both added to
    their input, without layer normalization; the logits of the sum are read at "=". The loss is the
    cross-entropy, mean over the pairs of the training part: ln `modulus` if all logits are equal.
    That of the other pairs is recorded as `validation_loss`.

    **Arguments:**

    - `modulus`: how many numbers there are; the data are all `modulus`² pairs.
    - `width`: numbers of an embedding. `heads` attention heads share them equally.
    - `hidden`: units of the hidden layer.
    - `fraction`: share of the pairs that the loss is computed on, above 0 and at most 1.
    - `split_seed`: which pairs these are; `split_pairs` returns both parts.

    The minimum is not known; the loss is bounded below by 0. Raises a `ValueError` for arguments
    other than these.
    """
    modulus, width = whole("modulus", modulus, least=2), whole("width", width)
    heads, hidden = whole("heads", heads), whole("hidden", hidden)
    check_heads(heads, width)
    trained, held_out = split_pairs(modulus, fraction, split_seed)
    loss = partial(_loss_of_pairs, modulus, _sum_loss(heads))
    sizes = {"symbols": modulus + 1, "classes": modulus, "positions": 3}
    return Problem(
        loss=loss(trained),
        validation_loss=loss(held_out) if held_out.size else None,
        init=partial(transformer_init, **sizes, width=width, hidden=hidden),
        name="modular_addition",
        config={
            "modulus": modulus,
            "width": width,
            "heads": heads,
            "hidden": hidden,
            "fraction": float(fraction),
            "split_seed": int(split_seed),
        },
    )


def _loss_of_pairs(
    modulus: int, sum_loss: Callable, pairs: Int[np.ndarray, "2 pairs"]
) -> jax.tree_util.Partial:
    """Return the loss on some pairs."""
    first, second = (np.eye(modulus)[:, part] for part in pairs)
    return jax.tree_util.Partial(sum_loss, first, second, pairs.sum(0) % modulus)


def split_pairs(
    modulus: Whole, fraction: float, split_seed: Whole = 0
) -> tuple[Int[np.ndarray, "2 trained"], Int[np.ndarray, "2 held_out"]]:
    """Split all pairs of numbers below `modulus` at random into a trained and a held-out part.

    Returns both, the two numbers of a pair in a column. The trained part has
    `fraction` · `modulus`² pairs, rounded. Raises a `ValueError` if it would be empty.
    """
    modulus = whole("modulus", modulus, least=2)
    split_seed = whole("split_seed", split_seed, least=0)
    count = round(fraction * modulus**2) if is_finite_number(fraction) else 0
    if not 1 <= count <= modulus**2:
        allowed = f"a number above 0 and at most 1, for one or more of {modulus**2} pairs"
        raise bad("fraction", fraction, allowed)
    order = np.random.default_rng(split_seed).permutation(modulus**2)
    trained, held_out = np.sort(order[:count]), np.sort(order[count:])
    return np.stack(np.divmod(trained, modulus)), np.stack(np.divmod(held_out, modulus))


@lru_cache
def _sum_loss(heads: int) -> Callable:
    """The loss on given data; cached, so that equal problems share one compiled program.

    The data are the columns of `first` and `second`, with a 1 in the row of the number, and the
    labels. Products with them are faster than a gather, and are shared by all cells.
    """

    def sum_loss(
        first: Float[AnyArray, "modulus pairs"],
        second: Float[AnyArray, "modulus pairs"],
        labels: Int[AnyArray, " pairs"],
        weights: Weights,
    ) -> Float[Array, ""]:
        return cross_entropy(_logits(heads, first, second, weights), labels, axis=0)

    def outputs(first: AnyArray, second: AnyArray, labels: AnyArray, weights: Weights) -> AnyArray:
        del labels
        return _logits(heads, first, second, weights)

    def of_outputs(
        first: AnyArray, second: AnyArray, labels: AnyArray, outputs: AnyArray
    ) -> Float[Array, ""]:
        del first, second
        return cross_entropy(outputs, labels, axis=0)

    sum_loss.parts = outputs, of_outputs  # pyright: ignore[reportFunctionMemberAccess]
    return sum_loss


def _logits(
    heads: int,
    first: Float[AnyArray, "modulus pairs"],
    second: Float[AnyArray, "modulus pairs"],
    weights: Weights,
) -> Float[AnyArray, "modulus pairs"]:
    """Logits of the sum at the last token."""
    modulus = len(first)
    numbers, equals = weights["embed"][:, :modulus], weights["embed"][:, modulus:]
    x = jnp.concatenate(
        [numbers + weights["position"][:, :1], numbers + weights["position"][:, 1:2]], axis=1
    )
    last = equals + weights["position"][:, 2:]
    attended = _attention(heads, first, second, jnp.concatenate([x, last], axis=1), weights)
    x = hidden_layer(weights, last + matmul(weights["output"], attended))
    return matmul(weights["unembed"], x)


def _attention(
    heads: int,
    first: Float[AnyArray, "modulus pairs"],
    second: Float[AnyArray, "modulus pairs"],
    x: Float[AnyArray, "width tokens"],
    weights: Weights,
) -> Float[Array, "width pairs"]:
    """Values that the last token attends to, for every pair.

    Only the last token is read, and it is the same in all pairs. So keys, values and scores are
    those of the columns of `x`: every number in the first place, every number in the second, "=".
    """
    modulus, pairs = first.shape
    query, key, value = weights["query"] @ x[:, -1:], weights["key"] @ x, weights["value"] @ x
    size = len(query) // heads
    scores = jnp.sum((query * key).reshape(heads, size, -1), axis=1) / np.sqrt(size)

    def of_pairs(columns: Float[AnyArray, "rows tokens"]) -> tuple[AnyArray, ...]:
        ends = columns[:, :modulus] @ first, columns[:, modulus:-1] @ second
        return *ends, jnp.broadcast_to(columns[:, -1:], (len(columns), pairs))

    shares = jax.nn.softmax(jnp.stack(of_pairs(scores)), axis=0)[:, :, None]
    values = (place.reshape(heads, size, -1) for place in of_pairs(value))
    attended = sum(share * value for share, value in zip(shares, values, strict=True))
    return jnp.asarray(attended).reshape(-1, pairs)
