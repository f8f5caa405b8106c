"""A sweep's numbers as text that a page carries: rounded curves, deflated, in base64."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int16, UInt8

SERIES = ("loss_min", "loss_max", "log10_loss_mean")
RESOLUTIONS = (0.001, 0.002, 0.01, 0.02)
"""Decades to which log10 of a loss is rounded, the first that fits; a pixel is 0.02 or more."""
BUDGET = 9_000_000
"""Bytes of deflated curves; base64 makes them a third longer."""
NAN, ZERO, INFINITE = -32768, -32767, 32767
"""Codes of losses that have no logarithm."""


class Curves(NamedTuple):
    """Loss curves, rounded.

    - `low`, `high`: the two bytes of every code, `[series, cell, window]`: differences of
        successive codes, zigzagged, so that most high bytes are zero.
    - `resolution`: decades that a code counts.
    - `merged`: windows of the store that make one of the page.
    """

    low: UInt8[np.ndarray, "_"]
    high: UInt8[np.ndarray, "_"]
    resolution: float
    merged: int


def pack_curves(envelope: Mapping[str, np.ndarray], budget: int = BUDGET) -> Curves:
    """Round curves as finely as the budget allows, and merge windows where that is not enough.

    **Arguments:**

    - `envelope`: by the names of `SERIES`, `[cell, window]`.
    - `budget`: most bytes that the curves may have once they are deflated.
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
    """Curves at the finest resolution that fits, or none if there are windows left to merge."""
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
    """Windows in twos; an odd last one is taken twice."""
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
    """Whole numbers of `resolution`, int16, with codes of their own for what is not finite."""
    scaled = np.round(decades / resolution)
    coded = np.nan_to_num(scaled, nan=NAN, posinf=INFINITE, neginf=ZERO)
    return coded.astype(np.int16)


def _bytes_of(
    codes: Int16[np.ndarray, "..."],
) -> tuple[UInt8[np.ndarray, "_"], UInt8[np.ndarray, "_"]]:
    """Low and high bytes of zigzagged differences along the windows, modulo 2¹⁶."""
    difference = np.diff(codes, axis=-1, prepend=np.int16(0)).astype(np.int16)
    zigzag = ((difference << 1) ^ (difference >> 15)).view(np.uint16)
    flat = zigzag.ravel()
    return (flat & 255).astype(np.uint8), (flat >> 8).astype(np.uint8)


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[list[dict[str, Any]], str]:
    """Return where each array lies in the bytes of all, and these bytes, deflated, in base64."""
    layout, parts, start = [], [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        data += bytes(-len(data) % 8)  # typed arrays begin at multiples of their width
        layout.append({"name": name, "type": array.dtype.name, "start": start, "size": array.size})
        parts.append(data)
        start += len(data)
    deflated = zlib.compress(b"".join(parts), 6)
    return layout, base64.b64encode(deflated).decode()
