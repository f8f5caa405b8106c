"""Encode the numbers of a sweep as text in a page: curves rounded, deflated, in base64."""

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int16, UInt8

SERIES = ("loss_min", "loss_max", "log10_loss_mean")
"""Variables of the store that the page draws."""
RESOLUTIONS = (0.001, 0.002, 0.01, 0.02)
"""Decades to which log10 of a loss is rounded; the first that fits the budget is used.

A pixel of a curve is 0.02 decades or more.
"""
BUDGET = 9_000_000
"""Most bytes of deflated curves; base64 makes them a third longer."""
PROBE_BUDGET = 5_000_000
"""Most bytes of deflated curves of probes."""
MOST_NUMBERS = 2**24
"""Most numbers of probes, so that a page of many probes takes seconds."""
DEEPEST = 31
"""Decades above the unit of a probe's variable that are told apart: 32767 codes of 0.001."""
NAN = -32768
"""Code of a loss that is nan."""
ZERO = -32767
"""Code of a loss of zero."""
INFINITE = 32767
"""Code of an infinite loss."""


class Curves(NamedTuple):
    """Loss curves as integer codes.

    - `low`, `high`: low and high bytes of the zigzag-encoded differences of successive codes,
        flattened from `[series, cell, window]`. Most high bytes are zero, so they deflate well.
    - `resolution`: decades per unit of a code.
    - `merged`: windows of the store per window of the page.
    """

    low: UInt8[np.ndarray, "_"]
    high: UInt8[np.ndarray, "_"]
    resolution: float
    merged: int


def pack_curves(envelope: Mapping[str, np.ndarray], budget: int = BUDGET) -> Curves:
    """Round curves as finely as the budget allows; merge windows if the coarsest does not fit.

    **Arguments:**

    - `envelope`: the variables in `SERIES`, each `[cell, window]`.
    - `budget`: most bytes of the deflated curves.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high, mean = (np.asarray(envelope[name], np.float64) for name in SERIES)
        low, high = np.log10(low), np.log10(high)
    return _fitted([low, high, mean], [_least, _greatest, _average], budget)


def pack_probes(
    measured: Mapping[str, np.ndarray], budget: int = PROBE_BUDGET, most: int = MOST_NUMBERS
) -> tuple[Curves, dict[str, float]]:
    """Round what probes measured, of any sign and size; returns the unit of each variable too.

    A value of unit · sinh(x) has the code of x / ln 10 decades: values of a few units or more are
    rounded to a fraction of themselves, as losses are, and smaller ones to a fraction of the unit,
    which is small among the values of the variable. Values above 10³¹ units count as infinite.

    **Arguments:**

    - `measured`: variables by name, each `[cell, window]`.
    - `budget`: most bytes of the deflated curves.
    - `most`: most numbers; of more, windows are merged at first.
    """
    units = {name: _unit(values) for name, values in measured.items()}
    with np.errstate(over="ignore", invalid="ignore"):
        series = [
            np.arcsinh(np.asarray(values, np.float64) / units[name]) / np.log(10)
            for name, values in measured.items()
        ]
    series = [np.where(np.abs(x) > DEEPEST, np.copysign(np.inf, x), x) for x in series]
    ways = [_least if n.endswith("_min") else _greatest if n.endswith("_max") else _average
            for n in measured]  # fmt: skip
    merged = 1
    while sum(x.size for x in series) > most and series[0].shape[-1] > 1:
        series, merged = _merged(series, ways), 2 * merged
    return _fitted(series, ways, budget, merged), units


def _unit(values: np.ndarray) -> float:
    """Return the 1 % quantile of the sizes of the values that are not zero."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)], dtype=np.float64)
    return max(float(np.quantile(sizes, 0.01)), np.finfo(np.float64).tiny) if sizes.size else 1.0


def _merged(
    series: Sequence[np.ndarray], ways: Sequence[Callable[[np.ndarray], np.ndarray]]
) -> list[np.ndarray]:
    """Merge pairs of windows, each series in its way."""
    return [way(values) for way, values in zip(ways, series, strict=True)]


def _fitted(
    series: Sequence[np.ndarray],
    ways: Sequence[Callable[[np.ndarray], np.ndarray]],
    budget: int,
    merged: int = 1,
) -> Curves:
    """Round series of decades as finely as the budget allows, or merge their windows."""
    while True:
        curves = _rounded(np.stack(series), merged, budget)
        if curves is not None:
            return curves
        series, merged = _merged(series, ways), 2 * merged


def _rounded(
    decades: Float[np.ndarray, "series cell _"], merged: int, budget: int
) -> Curves | None:
    """Curves at the finest resolution that fits, or `None` if windows must be merged first."""
    reach = float(np.abs(decades[np.isfinite(decades)]).max(initial=0.0))
    for resolution in RESOLUTIONS:
        if reach / resolution >= INFINITE - 1:
            continue
        curves = Curves(*_bytes_of(_codes(decades, resolution)), resolution, merged)
        size = len(zlib.compress(curves.low.tobytes() + curves.high.tobytes(), 6))
        if size <= budget or decades.shape[-1] == 1:
            return curves
    return None


def _pairs(values: Float[np.ndarray, "cell _"]) -> Float[np.ndarray, "cell _ 2"]:
    """Pairs of successive windows; an unpaired last window is repeated."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, values[:, -1:]], axis=-1)
    return values.reshape(len(values), -1, 2)


def _least(values: Float[np.ndarray, "cell _"]) -> Float[np.ndarray, "cell _"]:
    return np.fmin(*np.moveaxis(_pairs(values), -1, 0))


def _greatest(values: Float[np.ndarray, "cell _"]) -> Float[np.ndarray, "cell _"]:
    return np.fmax(*np.moveaxis(_pairs(values), -1, 0))


def _average(values: Float[np.ndarray, "cell _"]) -> Float[np.ndarray, "cell _"]:
    return _pairs(values).mean(-1)


def _codes(decades: Float[np.ndarray, "..."], resolution: float) -> Int16[np.ndarray, "..."]:
    """Multiples of `resolution` as int16, with special codes for values that are not finite."""
    scaled = np.round(decades / resolution)
    coded = np.nan_to_num(scaled, nan=NAN, posinf=INFINITE, neginf=ZERO)
    return coded.astype(np.int16)


def _bytes_of(
    codes: Int16[np.ndarray, "..."],
) -> tuple[UInt8[np.ndarray, "_"], UInt8[np.ndarray, "_"]]:
    """Low and high bytes of the zigzag-encoded differences along the windows, modulo 2¹⁶."""
    difference = np.diff(codes, axis=-1, prepend=np.int16(0)).astype(np.int16)
    zigzag = ((difference << 1) ^ (difference >> 15)).view(np.uint16)
    flat = zigzag.ravel()
    return (flat & 255).astype(np.uint8), (flat >> 8).astype(np.uint8)


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[list[dict[str, Any]], str]:
    """Concatenate arrays; returns the place of each, and all bytes, deflated, in base64."""
    layout, parts, start = [], [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        data += bytes(-len(data) % 8)  # JavaScript's typed arrays must be aligned
        layout.append({"name": name, "type": array.dtype.name, "start": start, "size": array.size})
        parts.append(data)
        start += len(data)
    deflated = zlib.compress(b"".join(parts), 6)
    return layout, base64.b64encode(deflated).decode()
