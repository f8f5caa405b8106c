"""Medians along the windows of many curves, fast where few windows are sorted.

NumPy sorts the windows of one cell after the other. A sorting network compares two windows of all
cells at once instead.
"""

import functools

import numpy as np
from jaxtyping import Float

Cells = Float[np.ndarray, "*cells"]
Windows = Float[np.ndarray, "*cells window"]

FEW = 24
"""Most windows that a network sorts; NumPy is as fast from there on."""

Comparison = tuple[int, int, bool, bool]
"""Two places, the first of which receives the smaller value, and which of both is needed."""


def median(values: Windows) -> Cells:
    """Median over the windows, as of `np.median`."""
    low, high = (values.shape[-1] - 1) // 2, values.shape[-1] // 2
    if low == high:
        return ranked(values, low)[0]
    below, above = ranked(values, low, high)
    return (below + above) / 2


def ranked(values: Windows, *ranks: int) -> list[Cells]:
    """Values of these ranks among the windows, 0 for the smallest."""
    count = values.shape[-1]
    if count > FEW:
        # To sort is faster than to partition for more than one rank.
        one = len(ranks) == 1
        ordered = np.partition(values, ranks, axis=-1) if one else np.sort(values, axis=-1)
        return [ordered[..., rank] for rank in ranks]
    places = [values[..., i] for i in range(count)]
    for i, j, smaller, larger in _network(count, ranks):
        first, second = places[i], places[j]
        if smaller:
            places[i] = np.minimum(first, second)
        if larger:
            places[j] = np.maximum(first, second)
    return [places[rank] for rank in ranks]


@functools.lru_cache
def _network(count: int, ranks: tuple[int, ...]) -> list[Comparison]:
    """Comparisons of a network that sorts `count` places, without those that no rank needs."""
    needed, kept = set(ranks), list[Comparison]()
    for i, j in reversed(_odd_even_merge_sort(count)):
        if i in needed or j in needed:
            kept.append((i, j, i in needed, j in needed))
            needed |= {i, j}
    return kept[::-1]


def _odd_even_merge_sort(count: int) -> list[tuple[int, int]]:
    """Pairs to compare, in order (Batcher, "Sorting networks and their applications", 1968)."""
    sizes = [2**bit for bit in range(max(count - 1, 0).bit_length())]
    return [
        (i + j, i + j + apart)
        for merged in sizes
        for apart in sizes[sizes.index(merged) :: -1]
        for j in range(apart % merged, count - apart, 2 * apart)
        for i in range(min(apart, count - j - apart))
        if (i + j) // (2 * merged) == (i + j + apart) // (2 * merged)
    ]
