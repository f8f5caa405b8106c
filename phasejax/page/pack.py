"""Encode the numbers of a sweep as text in a page: curves rounded, deflated, in base64."""

import base64
import zlib
from collections.abc import Mapping
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
    merged = 1
    while True:
        curves = _rounded(np.stack([low, high, mean]), merged, budget)
        if curves is not None:
            return curves
        low, high, mean = _least(low), _greatest(high), _average(mean)
        merged *= 2


def _rounded(decades: Float[np.ndarray, "3 cell _"], merged: int, budget: int) -> Curves | None:
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
