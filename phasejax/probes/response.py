"""How an optimizer responds to the gradient once its preconditioner is frozen.

Nothing of an optimizer's formula is known here. What is frozen, and the filter that remains, are
read off from how its state and its update respond to gradients.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from .._precision import precision
from ..identity import as_numpy
from .filter import Filter, gain
from .vectors import flat, times

Kind = Literal["clock", "even", "odd"]
"""How an array of an optimizer's state depends on gradients: not at all (a counter), as a second
moment does (the same for g and −g), or as a momentum does (linearly)."""
SMALL = 1e-4
"""Size of gradients whose squares do not count beside second moments of 1."""
STEPS_BEFORE = 10
"""Steps without gradients before: a warm-up may begin at a rate of zero."""
SCALES = 1.0, SMALL
"""Sizes of gradients by which the arrays of a state are told apart."""
SAME = 1e-3
"""Largest relative difference of numbers that count as equal."""


class Unknown(Exception):
    """Why an optimizer is not a filter with a frozen preconditioner; the message says it."""


class Response(NamedTuple):
    """What an optimizer is at the moment, if its second moments are frozen.

    - `gain`: effective step of every parameter, −H(1), `[size]`; 0 where it is not finite, because
        the parameter has never had a gradient.
    - `filter`: of every parameter, scaled by its gain.
    - `known`: whether all parameters have this filter, and the update is that of the filter.
    """

    gain: Float[Array, " size"]
    filter: Filter
    known: Bool[Array, ""]


def kinds_of(rule: Any, params: PyTree[np.ndarray]) -> tuple[Kind, ...]:
    """Say how each array of an optimizer's state depends on gradients.

    `rule` is an `optax.GradientTransformation` of plain numbers. Raises `Unknown` if its update is
    no filter of the gradients, even with frozen second moments.
    """
    if not (hasattr(rule, "init") and hasattr(rule, "update")):
        raise Unknown("it is not an optimizer of the optax protocol")
    with precision():
        start = jax.jit(rule.init)(params)
        update = jax.jit(rule.update)
        grads = _pattern(params)
        try:
            for _ in range(STEPS_BEFORE):
                _, start = update(times(grads, 0.0), start, params)
            after = {
                size: update(times(grads, size), start, params)[1]
                for scale in SCALES
                for size in (scale, -scale, 2 * scale)
            }
        except Exception as error:
            raise Unknown("its update needs more than gradients, state and parameters") from error
        numbers = {size: [as_numpy(x) for x in jax.tree.leaves(x)] for size, x in after.items()}
        seen = [map(_kind, *(numbers[k * scale] for k in (1, -1, 2))) for scale in SCALES]
        kinds: tuple[Kind, ...] = tuple(_agreed(*both) for both in zip(*seen, strict=True))
        shapes = [np.shape(x) for x in jax.tree.leaves(params)]
        for places in _momenta(kinds, params):
            if [numbers[SCALES[0]][place].shape for place in places] != shapes:
                raise Unknown("its momenta are not shaped like the parameters")
        _check_linear(update, kinds, start, params, grads)
        return kinds


def _kind(plus: np.ndarray, minus: np.ndarray, twice: np.ndarray) -> Kind | None:
    """Compare an array of the state after the gradients g, −g and 2g, from the start."""
    if _equal(plus, minus):
        return "clock" if _equal(plus, twice) else "even"
    floating = np.issubdtype(plus.dtype, np.floating)
    return "odd" if floating and _equal(plus, -minus) else None


def _agreed(large: Kind | None, small: Kind | None) -> Kind:
    """Return what large or small gradients show: small ones may vanish beside what is there at the
    start, and large ones may be clipped."""
    for kind in (large, small):
        if kind in ("even", "odd"):
            return kind
    if large == small == "clock":
        return "clock"
    raise Unknown("its state is neither the same nor the opposite for opposite gradients")


def _check_linear(
    update: Callable, kinds: tuple[Kind, ...], start: PyTree, params: PyTree, grads: PyTree
) -> None:
    """Refuse an optimizer that is not linear in small gradients, or mixes parameters."""
    state = _replaced(start, kinds, jax.tree.map(np.ones_like, start))
    odd = [place for place, kind in enumerate(kinds) if kind == "odd"]

    def result(grads: PyTree) -> list[np.ndarray]:
        """Updates, and the momenta after them."""
        updates, after = update(grads, state, params)
        leaves = jax.tree.leaves(after)
        return [np.asarray(x) for x in (*jax.tree.leaves(updates), *(leaves[i] for i in odd))]

    def change(grads: PyTree) -> list[np.ndarray]:
        """What gradients change in them."""
        pairs = zip(result(grads), result(times(grads, 0.0)), strict=True)
        return [np.asarray(one - other) for one, other in pairs]

    small = times(grads, SMALL)
    one, two = change(small), change(times(small, 2.0))
    moved = any(np.any(x) for x in one[: len(jax.tree.leaves(params))])
    if not (moved and all(_equal(y, 2 * x) for x, y in zip(one, two, strict=True))):
        raise Unknown("it is not linear in the gradient, even with frozen second moments")
    leaves, structure = jax.tree.flatten(small)
    for place in (place for place, leaf in enumerate(leaves) if leaf.size):
        alone = [np.zeros_like(x) for x in leaves]
        alone[place].flat[0] = SMALL
        updates = change(jax.tree.unflatten(structure, alone))[: len(leaves)]
        own = abs(updates[place].flat[0])
        updates[place].flat[0] = 0
        if max(np.max(np.abs(x), initial=0) for x in updates) > SAME * own:
            raise Unknown("its update of one parameter depends on the gradients of others")


def respond(
    rule: Any,
    kinds: tuple[Kind, ...],
    state: PyTree,
    params: PyTree,
    grads: PyTree,
    frozen: PyTree | None = None,
) -> Response:
    """Return the response of one cell's optimizer in the step that it is about to take.

    **Arguments:**

    - `kinds`: of the arrays of `state`, by `kinds_of`.
    - `state`, `params`, `grads`: before the step.
    - `frozen`: the state that has the second moments to freeze; by default that after the step.
    """
    taken, following = rule.update(grads, state, params)
    state, held = _holding(rule, kinds, state, params, following if frozen is None else frozen)
    at_rest, each, mixed = _linearized(rule, kinds, state, params)
    direct = each.d
    usable = jnp.isfinite(direct) & (direct != 0)
    place = jnp.argmax(jnp.where(usable, jnp.abs(direct), 0))
    filtered = jax.tree.map(lambda x: x[..., place], each)
    whole = -gain(filtered)
    lengths = direct * (whole / filtered.d)  # gains have one ratio to direct derivatives
    usable &= jnp.isfinite(lengths) & (lengths > 0)
    explained = at_rest + jnp.where(usable, direct, 0) * flat(grads)
    explained = jnp.where(jnp.isfinite(explained), explained, 0)
    defect = jnp.max(jnp.abs(flat(taken) - explained))
    exact = defect <= SAME * jnp.max(jnp.abs(flat(taken)))
    alike = ~mixed
    for x in (each.a, each.decay, jnp.sum(each.c * each.b, 0) / direct):
        among = jnp.where(usable, x, jnp.nan)
        spread = jnp.nanmax(among, axis=-1) - jnp.nanmin(among, axis=-1)
        alike &= jnp.all(spread <= SAME * jnp.nanmax(jnp.abs(among), axis=-1))
    return Response(
        jnp.where(usable, lengths, 0),
        filtered._replace(c=filtered.c / whole, d=filtered.d / whole),
        held & jnp.any(usable) & alike & (exact if frozen is None else True),
    )


def _linearized(
    rule: Any, kinds: tuple[Kind, ...], state: PyTree, params: PyTree
) -> tuple[Float[Array, " size"], Filter, Bool[Array, ""]]:
    """Linearize an update at zero gradients, where second moments have no derivative.

    Returns the updates there, the filter of every parameter, `[..., size]`, and whether the momenta
    depend on the parameters, as with weight decay before them: a filter has no room for that.
    """
    leaves, structure = jax.tree.flatten(state)
    odd = _momenta(kinds, params)

    def update(grads: PyTree, momenta: list[list[Array]], params: PyTree) -> Any:
        changed = dict(enumerate(leaves))
        for places, momentum in zip(odd, momenta, strict=True):
            changed |= dict(zip(places, momentum, strict=True))
        before = jax.tree.unflatten(structure, changed.values())
        updates, after = rule.update(grads, before, params)
        after = jax.tree.leaves(after)
        return flat(updates), [flat([after[place] for place in places]) for places in odd]

    momenta = [[leaves[place] for place in places] for places in odd]
    point = times(params, 0.0), momenta, params
    (at_rest, _), linear = jax.linearize(update, *point)
    zeros, ones = (jax.tree.map(like, point) for like in (jnp.zeros_like, jnp.ones_like))
    d, b = linear(ones[0], *zeros[1:])
    columns = []
    for place in range(len(odd)):
        unit = [one if k == place else zeros[1][k] for k, one in enumerate(ones[1])]
        columns.append(linear(zeros[0], unit, zeros[2]))
    decay, by_parameters = linear(*zeros[:2], ones[2])
    mixed = jnp.any(jnp.array([jnp.any(x != 0) for x in by_parameters], bool))
    count, size = len(odd), d.size
    a = jnp.reshape(jnp.array([after for _, after in columns], d.dtype), (count, count, size))
    b = jnp.reshape(jnp.array(b, d.dtype), (count, size))
    c = jnp.reshape(jnp.array([c for c, _ in columns], d.dtype), (count, size))
    return at_rest, Filter(jnp.swapaxes(a, 0, 1), b, c, d, decay), mixed


def _momenta(kinds: tuple[Kind, ...], params: PyTree) -> list[list[int]]:
    """Places of the arrays of each momentum, which has one for every array of the parameters."""
    odd = [place for place, kind in enumerate(kinds) if kind == "odd"]
    arrays = len(jax.tree.leaves(params))
    return [odd[first : first + arrays] for first in range(0, len(odd), arrays)]


def _holding(
    rule: Any, kinds: tuple[Kind, ...], state: PyTree, params: PyTree, target: PyTree
) -> tuple[PyTree, Bool[Array, ""]]:
    """Choose second moments before a step without gradient such that they are `target` after it.

    They decay by a factor, which a step from `target` itself shows. Also says whether it worked.
    """
    zeros = times(params, 0.0)
    decayed = rule.update(zeros, _replaced(state, kinds, target), params)[1]
    wanted = jax.tree.map(lambda x, y: jnp.where(x == 0, 0, x * (x / y)), target, decayed)
    held = _replaced(state, kinds, wanted)
    found = jax.tree.leaves(rule.update(zeros, held, params)[1])
    right = [
        jnp.max(jnp.abs(x - y)) <= SAME * jnp.max(jnp.abs(y))
        for x, y, kind in zip(found, jax.tree.leaves(target), kinds, strict=True)
        if kind == "even"
    ]
    return held, jnp.all(jnp.array(right, bool))


def _replaced(state: PyTree, kinds: tuple[Kind, ...], other: PyTree) -> PyTree:
    """Return a state with the second moments of another one."""
    leaves, structure = jax.tree.flatten(state)
    mixed = [
        new if kind == "even" else old
        for old, new, kind in zip(leaves, jax.tree.leaves(other), kinds, strict=True)
    ]
    return jax.tree.unflatten(structure, mixed)


def _pattern(params: PyTree) -> PyTree[np.ndarray]:
    """Gradients of both signs, of different sizes and none of them zero."""
    leaves, structure = jax.tree.flatten(params)
    patterns = [0.01 + np.cos(1.0 + np.arange(np.size(x))).reshape(np.shape(x)) for x in leaves]
    return jax.tree.unflatten(structure, patterns)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Say whether two arrays are finite, and equal but for rounding."""
    if not np.issubdtype(one.dtype, np.floating):
        return np.array_equal(one, other)
    largest = np.max(np.abs(other), initial=0)
    return bool(np.max(np.abs(one - other), initial=0) <= SAME * largest)
