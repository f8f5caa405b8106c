"""A model and data of the user's as a problem."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from .._check import bad, choice, said, whole
from .._precision import precision
from .._types import Whole
from .losses import cross_entropy, logistic, mse
from .order import shuffled
from .parts import Parts, join, split
from .problem import Problem, is_array

SHUFFLES = ("replacement", "epoch")
"""How mini-batches are drawn."""
LOSSES: dict[str, Callable] = {"mse": mse, "logistic": logistic, "cross_entropy": cross_entropy}
"""Losses of outputs and targets by name."""


def model(
    init: Callable[[PRNGKeyArray], PyTree],
    apply: Callable[..., Any],
    data: Sequence[PyTree],
    *,
    loss: str | Callable[[Any, Any], Any] = "mse",
    batch_size: Whole | None = None,
    shuffle: str = "replacement",
    validation: Sequence[PyTree] | None = None,
    evaluate_every: Whole = 1,
    name: str = "model",
    config: Mapping[str, Any] | None = None,
) -> Problem:
    """Fit data with a model of your own: equinox, flax, or plain JAX.

    ```python
    def init(key):
        return eqx.nn.MLP(64, 10, 32, 2, key=key)

    def apply(model, inputs):
        return jax.vmap(model)(inputs)

    problem = pj.problems.model(init, apply, (pixels, labels), loss="cross_entropy", batch_size=64)
    ```

    **Arguments:**

    - `init`: `init(key) -> model`, as in `phasejax.Problem`.
    - `apply`: `apply(model, inputs) -> outputs`, for all rows at once. If it has an argument named
        `key`, it gets a new key in every step, for dropout; the key is `None` where the loss is
        recorded, and the model should then drop nothing.
    - `data`: inputs and targets, PyTrees of arrays that all have the same number of rows. The
        program takes them as they are: all cells of a device share one copy.
    - `loss`: "mse", "logistic" (targets ±1), "cross_entropy" (outputs are logits `[rows, classes]`,
        targets integers from 0), or a function of outputs and targets: the mean over rows.
    - `batch_size`: rows in the gradient of each step; by default all.
    - `shuffle`: "replacement" draws the rows of every step from all, "epoch" passes through the
        data in a new random order each time; rows that do not fill a last batch are left out of
        that pass.
    - `validation`: inputs and targets that are held out. A sweep records their loss at the end of
        every window as `validation_loss`.
    - `evaluate_every`: steps from one evaluation of the recorded loss to the next: with small
        batches of large data, it takes most of the time.
    - `name`, `config`: as in `phasejax.Problem`.

    The recorded loss, which is labelled, is that of all rows, without dropout. Raises a
    `ValueError` or a `TypeError` if rows, shapes or labels do not fit; `init` is
    called once for that, and `apply` traced.
    """
    if isinstance(loss, str):
        choice("loss", loss, LOSSES)
    takes_key = "key" in inspect.signature(apply).parameters
    fit = Fit(apply, LOSSES[loss] if isinstance(loss, str) else loss, takes_key)
    rows = _rows("data", data)
    with precision():
        parts = split(init(jax.random.key(0)))
    _check_fit(parts, fit, loss, "data", data)
    if validation is not None:
        _rows("validation", validation)
        _check_fit(parts, fit, loss, "validation", validation)
    choice("shuffle", shuffle, SHUFFLES)
    if batch_size is not None:
        batch_size = whole("batch_size", batch_size, most=rows)
    elif shuffle != "replacement":
        raise bad("shuffle", shuffle, "left out without a batch_size")
    noisy = batch_size is not None or takes_key
    return Problem(
        loss=Partial(fit, *data),
        init=init,
        batch_loss=Partial(BatchFit(fit, batch_size, shuffle), *data) if noisy else None,
        validation_loss=None if validation is None else Partial(fit, *validation),
        evaluate_every=whole("evaluate_every", evaluate_every),
        name=name,
        config={
            "loss": loss if isinstance(loss, str) else getattr(loss, "__name__", "custom"),
            **({"batch_size": batch_size, "shuffle": shuffle} if batch_size else {}),
            **({"evaluate_every": int(evaluate_every)} if evaluate_every != 1 else {}),
            **(config or {}),
        },
    )


@dataclass(frozen=True)
class Fit:
    """The loss of a model on given data. Equal ones share a compiled program."""

    apply: Callable[..., Any]
    loss: Callable[[Any, Any], Any]
    takes_key: bool

    def __call__(
        self, inputs: PyTree, targets: PyTree, model: PyTree, key: PRNGKeyArray | None = None
    ) -> Any:
        """Return the loss."""
        return self.loss(self.outputs(inputs, model, key), targets)

    def outputs(self, inputs: PyTree, model: PyTree, key: PRNGKeyArray | None = None) -> Any:
        """Return the outputs of the model."""
        inputs = jax.tree.map(lambda x: jnp.asarray(x) if is_array(x) else x, inputs)
        return self.apply(model, inputs, key=key) if self.takes_key else self.apply(model, inputs)

    @property
    def parts(self) -> tuple[Callable, Callable]:
        """Outputs as a function of the model, and the loss of outputs, after the data."""
        return (
            lambda inputs, targets, model: self.outputs(inputs, model),
            lambda inputs, targets, outputs: self.loss(outputs, targets),
        )


@dataclass(frozen=True)
class BatchFit:
    """The loss of a model on a mini-batch of given data, or on all with dropout."""

    fit: Fit
    batch_size: int | None
    shuffle: str

    def __call__(
        self,
        inputs: PyTree,
        targets: PyTree,
        model: PyTree,
        key: PRNGKeyArray,
        step: Any,
        run_key: PRNGKeyArray,
    ) -> Any:
        """Draw a mini-batch, and return its loss."""
        drawn, dropped = jax.random.split(key)
        if self.batch_size is not None:
            rows = len(jax.tree.leaves(inputs)[0])
            chosen = self._rows(rows, self.batch_size, drawn, step, run_key)
            inputs, targets = jax.tree.map(lambda x: jnp.take(x, chosen, axis=0), (inputs, targets))
        return self.fit(inputs, targets, model, dropped if self.fit.takes_key else None)

    def _rows(
        self, rows: int, size: int, key: PRNGKeyArray, step: Any, run_key: PRNGKeyArray
    ) -> Int[Array, " batch"]:
        """Choose the rows of a step."""
        if self.shuffle == "replacement":
            return jax.random.randint(key, (size,), 0, rows)
        epoch, place = jnp.divmod(step, rows // size)
        order = jax.random.fold_in(run_key, epoch)
        return shuffled(order, place * size + jnp.arange(size), rows)


def _rows(name: str, data: Sequence[PyTree]) -> int:
    """Return the number of rows of inputs and targets, and refuse data that have several."""
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise TypeError(f"{name}: must be a tuple of inputs and targets")
    shapes = [np.shape(x) for x in jax.tree.leaves(tuple(data))]
    rows = {shape[0] if shape else 0 for shape in shapes}
    if len(rows) != 1 or 0 in rows:
        raise bad(name, shapes, "arrays with the same number of rows, and not empty")
    if not all(
        np.isfinite(x).all()
        for x in map(np.asarray, jax.tree.leaves(tuple(data)))
        if np.issubdtype(x.dtype, np.floating)
    ):
        raise ValueError(f"{name}: must be finite numbers")
    return rows.pop()


def _check_fit(
    parts: Parts, fit: Fit, loss: str | Callable, name: str, data: Sequence[PyTree]
) -> None:
    """Refuse outputs and targets that do not fit."""
    inputs, targets = data
    with precision():
        try:
            outputs = jax.eval_shape(lambda: fit.outputs(inputs, join(*parts)))
        except Exception as error:
            raise TypeError(f"apply fails on (model, inputs of {name}): {said(error)}") from error
    if not isinstance(loss, str):
        return
    if not hasattr(outputs, "shape"):
        raise TypeError(
            f"apply returned a {type(outputs).__name__} of {len(outputs)}; "
            f"loss = {loss!r} takes one array of outputs"
        )
    expected = outputs.shape[:-1] if loss == "cross_entropy" else outputs.shape
    if np.shape(targets) != expected:
        raise bad(
            f"shape of targets in {name}",
            np.shape(targets),
            f"{expected}, for outputs {outputs.shape} and loss = {loss!r}",
        )
    if loss == "logistic" and not np.isin(targets, (-1, 1)).all():
        raise bad(f"targets in {name}", np.unique(targets)[:4].tolist(), "-1 or 1")
    if loss == "cross_entropy":
        labels, classes = np.asarray(targets), outputs.shape[-1]
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
            found = f"{labels.dtype} from {labels.min()} to {labels.max()}"
            raise bad(f"targets in {name}", found, f"integers from 0 to {classes - 1}")
