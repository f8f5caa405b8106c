"""The next character of a text, predicted by a causal transformer of one layer."""

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._check import bad, whole
from .._types import AnyArray, Whole
from .losses import cross_entropy
from .matmul import matmul
from .problem import Problem
from .transformer import Weights, check_heads, hidden_layer, transformer_init

MODULES = ("argparse", "bisect", "fractions", "heapq", "statistics", "textwrap")
"""Modules of Python's standard library whose sources are the text by default."""


def characters(
    path: str | Path | None = None,
    modules: Sequence[str] = MODULES,
    symbols: Whole = 32,
    context: Whole = 16,
    width: Whole = 16,
    heads: Whole = 2,
    hidden: Whole = 32,
    batch_size: Whole = 8,
    evaluation: Whole = 4,
    sha256: str | None = None,
) -> Problem:
    """Predict the next character of a text with a causal transformer of one layer.

    A character and its position are embedded; one layer of causal attention and one hidden layer of
    relu are added to their input, without layer normalization. Every place of a window predicts
    the character that follows. The loss is the cross-entropy in nats, mean over places and windows.
    The gradient of each step is that of `batch_size` windows, which begin anywhere in the text,
    drawn with replacement. The recorded loss is that of `evaluation` fixed windows, spread
    evenly over the same text.

    **Arguments:**

    - `path`: a text file in UTF-8. By default, the text is the sources of `modules`.
    - `modules`: names of importable modules, used without `path`; the default ones are in every
        Python from 3.11. Another version of Python has other sources, so the results differ.
    - `symbols`: size of the alphabet. It has the most frequent characters of the text; the last
        symbol stands for all others.
    - `context`: characters of a window that are seen.
    - `width`: numbers of an embedding. `heads` attention heads share them equally.
    - `hidden`: units of the hidden layer.
    - `sha256`: the hash that the text must have, as `config` of the problem records it, in
        hexadecimal digits of the text in UTF-8; by default any.

    The minimum is not known; the loss is bounded below by 0. Raises a `ValueError` for arguments
    other than these, for a file or module that cannot be read, and for a text with fewer than
    `batch_size` or `evaluation` windows.
    """
    text = _text(path, modules)
    found = hashlib.sha256(text.encode()).hexdigest()
    if sha256 is not None and sha256 != found:
        text_of = "the file" if path is not None else "the modules in this version of Python"
        raise bad("sha256", sha256, f"{found}, the hash of {text_of}, or left out")
    sizes = {
        "symbols": whole("symbols", symbols, least=2),
        "context": whole("context", context),
        "width": whole("width", width),
        "heads": whole("heads", heads),
        "hidden": whole("hidden", hidden),
        "batch_size": whole("batch_size", batch_size),
        "evaluation": whole("evaluation", evaluation),
    }
    check_heads(sizes["heads"], sizes["width"])
    encoded = encode(text, sizes["symbols"])
    classes = int(encoded.max()) + 1
    return Problem(
        **_losses(encoded, sizes),
        init=partial(
            transformer_init,
            symbols=classes,
            classes=classes,
            positions=sizes["context"],
            width=sizes["width"],
            hidden=sizes["hidden"],
        ),
        name="characters",
        config={**_source(path, modules), **sizes, "sha256": found},
    )


def _source(path: str | Path | None, modules: Sequence[str]) -> dict[str, Any]:
    """Return the arguments that say where the text is from."""
    return {"modules": list(modules)} if path is None else {"path": str(path)}


def _text(path: str | Path | None, modules: Sequence[str]) -> str:
    """Read the file, or the sources of the modules; refuse a text of one character only."""
    if path is None:
        if isinstance(modules, str) or not modules:
            raise bad("modules", modules, "a list of one or more names of modules")
        argument, value, text = "modules", modules, "".join(map(_source_code, modules))
    else:
        argument, value, text = "path", str(path), _read(Path(path))
    if len(set(text)) < 2:
        raise bad(argument, value, "a text of two or more different characters")
    return text


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise bad("path", str(path), f"a readable text file in UTF-8: {error}") from error


def _source_code(module: str) -> str:
    """Source code of a module, which is not executed."""
    try:
        spec = importlib.util.find_spec(module)
        source = spec.loader.get_source(module)  # pyright: ignore
    except (ImportError, AttributeError, ValueError, OSError):
        source = None
    if source is None:
        raise bad("modules", module, "the name of a module whose source code Python finds")
    return source


def encode(text: str, symbols: int) -> Int[np.ndarray, " characters"]:
    """Return the rank of every character by frequency, at most `symbols` − 1, as int32."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    known, places, counts = np.unique(points, return_inverse=True, return_counts=True)
    ranks = np.empty(len(known), np.int32)
    ranks[np.lexsort((known, -counts))] = np.arange(len(known))
    return np.minimum(ranks, symbols - 1)[places]


def _losses(text: Int[np.ndarray, " characters"], sizes: dict[str, int]) -> dict[str, Any]:
    """Return `loss` and `batch_loss` of the problem."""
    context, heads = sizes["context"], sizes["heads"]
    batch_size, evaluation = sizes["batch_size"], sizes["evaluation"]
    starts = len(text) - context
    for name in ("batch_size", "evaluation"):
        if sizes[name] > starts:
            windows = f"windows of {context + 1} in a text of {len(text)} characters"
            raise bad(name, sizes[name], f"at most {max(starts, 0)}, the number of {windows}")
    first = np.linspace(0, starts - 1, evaluation).astype(int)
    fixed = text[first + np.arange(context + 1)[:, None]]
    return {
        "loss": jax.tree_util.Partial(_window_loss(heads), fixed),
        "batch_loss": jax.tree_util.Partial(_drawn_loss(heads, context, batch_size), text),
    }


@lru_cache
def _window_loss(heads: int) -> Callable:
    """The loss on given windows; cached, so that equal problems share one compiled program."""

    def window_loss(windows: Int[AnyArray, "length windows"], weights: Weights) -> Float[Array, ""]:
        return of_outputs(windows, outputs(windows, weights))

    def outputs(windows: Int[AnyArray, "length windows"], weights: Weights) -> AnyArray:
        return _logits(heads, windows[:-1], weights)

    def of_outputs(windows: Int[AnyArray, "length windows"], outputs: AnyArray) -> Float[Array, ""]:
        return cross_entropy(outputs, windows[1:].reshape(-1), axis=0)

    window_loss.parts = outputs, of_outputs  # pyright: ignore[reportFunctionMemberAccess]
    return window_loss


@lru_cache
def _drawn_loss(heads: int, context: int, batch_size: int) -> Callable:
    """The loss on windows that are drawn with replacement from the given text."""
    of_windows = _window_loss(heads)

    def drawn_loss(
        text: Int[AnyArray, " characters"], weights: Weights, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        first = jax.random.randint(key, (batch_size,), 0, len(text) - context)
        return of_windows(jnp.take(text, first + jnp.arange(context + 1)[:, None]), weights)

    return drawn_loss


def _logits(
    heads: int, seen: Int[AnyArray, "context windows"], weights: Weights
) -> Float[AnyArray, "symbols places"]:
    """Logits of the following character, for every place of every window, place by place."""
    width, context = weights["position"].shape
    x = jnp.take(weights["embed"], seen, axis=1) + weights["position"][:, :, None]
    x = x.reshape(width, -1)
    query, key, value = (
        matmul(weights[name], x).reshape(heads, width // heads, context, -1)
        for name in ("query", "key", "value")
    )
    attended = causal_attention(query, key, value).reshape(width, -1)
    x = hidden_layer(weights, x + matmul(weights["output"], attended))
    return matmul(weights["unembed"], x)


def causal_attention(
    query: Float[AnyArray, "heads size context windows"],
    key: Float[AnyArray, "heads size context windows"],
    value: Float[AnyArray, "heads size context windows"],
) -> Float[Array, "heads size context windows"]:
    """Mean of the values at a place and before it, with weights softmax(query · key / √size)."""
    _, size, context, _ = query.shape
    scores = jnp.einsum("hstw,hsuw->hwtu", query, key) / np.sqrt(size)
    scores = jnp.where(np.tri(context, dtype=bool), scores, -jnp.inf)
    return jnp.einsum("hwtu,hsuw->hstw", jax.nn.softmax(scores, axis=-1), value)
