"""`phasejax.replay`: one cell of a stored sweep again, step by step, with the same bits."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, PyTree

from ._check import ArgumentError, bad
from ._precision import precision
from .devices import check_platform
from .dynamics import Dynamics
from .engine import replaying
from .engine.metadata import SAME
from .engine.recorded import differences, recorded_spec
from .engine.replaying import Copies, Losses, Observe
from .engine.spec import Spec
from .envelope import Envelope
from .grid import Grid
from .problems import Problem
from .regimes.codes import COMPUTED
from .results.summary import one_cell


def replay(
    dataset: xr.Dataset,
    problem: Problem,
    *,
    dynamics: Callable | Dynamics | None = None,
    observe: Observe | None = None,
    **cell: Any,
) -> xr.Dataset:
    """Return the loss of every step of one cell of a sweep, with the bits of the sweep.

    ```python
    def observe(params, grads, updates):
        return {"gradient_norm": optax.global_norm(grads)}

    run = pj.replay(dataset, problem, observe=observe, a=1, b=100)
    run["loss"].plot(yscale="log")
    ```

    The cell runs in a block of the recorded size, by the same compiled program, and its losses are
    compared with the stored envelope. `phasejax.trajectory` compiles another program, which rounds
    differently, and a cell that spikes amplifies rounding by decades.

    **Arguments:**

    - `dataset`: a sweep in steps: what `phasejax.sweep` or `phasejax.open_dataset` returned.
    - `problem`: the problem of the sweep.
    - `dynamics`: the dynamics of the sweep; needed if they are not an optimizer of phasejax or
        optax.
    - `observe`: a function of the parameters before a step, their gradient and the update of the
        step, which JAX can trace and which returns a PyTree of arrays. The gradient is that of the
        loss, or of the step's mini-batch, computed again; the update is the difference of the
        parameters. Neither has necessarily the bits of the optimizer's own.
    - `cell`: a value of every axis by name. An axis of numbers takes the nearest value, by ratio if
        it is logarithmic; an axis of names takes the same name.

    Returns a dataset with the dimension `step`: `loss` before each step, +inf where it is not
    finite, and what `observe` returned, a dict as variables of these names, anything else as
    `observed`. The values of the axes are scalar coordinates. The attribute `same_bits` says
    whether minimum and maximum of the loss in every window are those that are stored; a cell that a
    refinement inferred, or that is not computed yet, has no such attribute.

    Warns with what differs from the recorded device, versions and flags if the bits are not the
    same, or cannot be compared. Raises a `ValueError` for another problem, dynamics or cell, and a
    `TypeError` for a flow, whose steps are not stored, and for an `observe` that fails.
    """
    if dataset.attrs["unit"] == "time":
        raise TypeError(
            f"dataset: {dataset.attrs['optimizer']} is a flow, whose steps adapt; replay needs a "
            "sweep in steps"
        )
    if getattr(problem, "evaluate_every", 1) > 1:
        allowed = "1: the sweep did not evaluate the loss of every step"
        raise bad("evaluate_every", problem.evaluate_every, allowed)
    check_platform()
    chosen = one_cell(dataset, cell, "cell")
    spec = recorded_spec(dataset.attrs, problem, dynamics)
    number = _number(spec.grid, chosen)
    _check_start(spec, number, chosen)
    stored = {name: chosen[name].values for name in Envelope._fields if name in chosen}
    kept = int(chosen["status"]) == COMPUTED
    attrs = dataset.attrs
    with precision(spec.dtype):
        copies = Copies(spec, number, attrs["block_size"], attrs["slots"], _devices(attrs))
        place = _place(replaying.envelope(copies), stored) if kept else 0
        if observe is None:
            loss, found = replaying.losses(copies, place), {}
        else:
            loss, found = replaying.observed(copies, place, observe)
    same = _same_bits(loss, spec.edges, stored) if kept else None
    _warn(attrs, same)
    return _dataset(chosen, attrs, loss.low, found, same)


def _number(grid: Grid, chosen: xr.Dataset) -> int:
    """Number of the cell in the grid of the sweep, of which a dataset may be a part."""
    places = [axis.labels.index(chosen[name].item()) for name, axis in grid.axes.items()]
    return int(np.ravel_multi_index(places, grid.shape))


def _check_start(spec: Spec, number: int, chosen: xr.Dataset) -> None:
    """Refuse a problem that starts at another loss; its trace may be of another JAX."""
    now = spec.initial_loss[spec.seed_places(np.array([number]))[0]]
    then = float(chosen["initial_loss"])
    if not np.isclose(now, then, rtol=SAME, atol=0):
        raise bad("problem", spec.problem, f"that of the sweep; its loss starts at {then}")


def _devices(attrs: Mapping[str, Any]) -> int:
    """Number of devices of a sweep."""
    return int(attrs["device"].partition(" ")[0])


def _place(copies: Envelope, stored: Mapping[str, np.ndarray]) -> int:
    """First place in a block whose envelope `[copies, windows]` is the stored one; else 0."""
    found = copies._asdict()
    alike = [_equal(found[name], values).all(axis=1) for name, values in stored.items()]
    return int(np.argmax(np.all(alike, axis=0)))


def _equal(one: np.ndarray, other: np.ndarray) -> Bool[np.ndarray, "..."]:
    """Say where numbers are equal; nan equals nan."""
    return (one == other) | (np.isnan(one) & np.isnan(other))


def _same_bits(loss: Losses, edges: np.ndarray, stored: Mapping[str, np.ndarray]) -> bool:
    """Say whether minimum and maximum of the loss in every window are the stored ones."""
    low = np.minimum.reduceat(loss.low, edges[:-1]) == stored["loss_min"]
    high = np.maximum.reduceat(loss.high, edges[:-1]) == stored["loss_max"]
    return bool(np.all(low & high))


def _warn(attrs: dict[str, Any], same: bool | None) -> None:
    """Warn of bits that differ, or may differ, from those of the sweep."""
    found = differences(attrs)
    if same is False:
        why = found or "nothing that a store records explains it"
        warnings.warn(
            f"the losses differ from the stored envelope: {why}", RuntimeWarning, stacklevel=3
        )
    elif same is None and found:
        warnings.warn(
            f"the cell has no stored envelope, and its bits may differ from a sweep's: {found}",
            RuntimeWarning,
            stacklevel=3,
        )


def _dataset(
    chosen: xr.Dataset,
    attrs: Mapping[str, Any],
    loss: Float[np.ndarray, " steps"],
    observed: PyTree[np.ndarray],
    same: bool | None,
) -> xr.Dataset:
    """Put losses and what was observed, `[steps, ...]`, into a dataset."""
    variables: dict[str, Any] = {"loss": ("step", loss, {"long_name": "loss before the step"})}
    named = observed if isinstance(observed, dict) else {"observed": observed}
    for path, values in jax.tree_util.tree_leaves_with_path(named):
        name = jax.tree_util.keystr(path, simple=True, separator="_")
        if name in {"step", *variables, *attrs["axes"]}:
            raise ArgumentError("observe", f": returned {name!r}: the results have this name")
        variables[name] = (("step", *(f"{name}_{i}" for i in range(1, values.ndim))), values)
    axes = {name: chosen[name] for name in attrs["axes"]}
    title = {"title": f"one cell of {attrs['title']}"}
    bits = {} if same is None else {"same_bits": same}
    return xr.Dataset(variables, {**axes, "step": np.arange(len(loss))}, title | bits)
