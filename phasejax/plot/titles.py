"""Texts of figures: names of axes, fixed values, titles."""

import textwrap
from typing import Any

import xarray as xr
from matplotlib.mathtext import MathTextParser

from ..regimes.codes import COMPUTED, INFERRED
from ..results.axes import fixed_seed, selected, value_text
from ..results.summary import length
from .style import (
    AXES,
    FLOW_AXES,
    OPTAX_AXES,
    OPTAX_SYMBOLS,
    OWN_AXES,
    OWN_SYMBOLS,
    SYMBOLS,
    WHERE,
)

SIZE = 10
"""Font size of a title in points."""
LETTER = 0.57
"""Width of a letter as a fraction of the font size, slightly more than the average."""
LONGEST = 40
"""Most letters of a value in a title; names of functions and masks can have any length."""


def printable(text: str) -> str:
    """Return a text that matplotlib can draw: escape dollar signs that do not enclose a formula."""
    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return text.replace("$", r"\$")
    return text


def own(dataset: xr.Dataset) -> bool:
    """Say whether the dynamics are phasejax's own, whose a, b and ε are the paper's."""
    return dataset.attrs.get("optimizer_module", "").startswith("phasejax.")


def of_optax(dataset: xr.Dataset) -> bool:
    """Say whether the optimizer is one of optax, which uses the names of the literature."""
    return dataset.attrs.get("optimizer_module", "").startswith("optax.")


def axis_name(dataset: xr.Dataset, name: str) -> str:
    """Return the label of an axis."""
    plain = name.replace("_", " ")
    if not own(dataset):
        return printable(
            OPTAX_AXES.get(name, plain) if of_optax(dataset) else AXES.get(name, plain)
        )
    return printable((FLOW_AXES if "time" in dataset.attrs else OWN_AXES).get(name, plain))


def setting(dataset: xr.Dataset, name: str, value: Any) -> str:
    """Write one hyper-parameter and its value: `η = 0.001`, `ε = 1e-08 outside the root`."""
    symbols = OWN_SYMBOLS if own(dataset) else OPTAX_SYMBOLS if of_optax(dataset) else SYMBOLS
    symbol = symbols.get(name, name.replace("_", " "))
    inside = name == "eps_root" and of_optax(dataset)
    where = WHERE.get(name, "") if value and (own(dataset) or inside) else ""
    text = f"{value:.4g}" if symbol == "η" and not isinstance(value, str) else value_text(value)
    text = " ".join(text.split())
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"
    return printable(f"{symbol} = {text}{where}")


def settings(dataset: xr.Dataset) -> list[str]:
    """Fixed and selected values, mini-batches, length of a run and dtype, one text each.

    Arguments that are `None`, and no weight decay, are left out; if both ε are zero, only one is
    named.
    """
    attrs = dataset.attrs
    values = {name: value for name, value in selected(dataset).items() if value is not None}
    if own(dataset) or of_optax(dataset):
        values = _one_epsilon(dataset, values)
    if values.get("weight_decay") == 0:
        del values["weight_decay"]
    fixed = [setting(dataset, name, value) for name, value in values.items()]
    if seed := fixed_seed(attrs):
        fixed.append(f"seed = {seed}")
    drawn = attrs["problem_arguments"].get("batch_size")
    batches = [f"batches of {drawn}"] if drawn else []
    return [*fixed, *batches, length(attrs), attrs["dtype"]]


def _one_epsilon(dataset: xr.Dataset, values: dict[str, Any]) -> dict[str, Any]:
    """Leave out an ε that is zero if the other one is given; if both are zero, leave out one."""
    zero = [name for name in WHERE if values.get(name) == 0]
    both = all(name in values or name in dataset.dims for name in WHERE)
    left_out = zero[-1:] if len(zero) == 2 else zero if both else []
    return {name: value for name, value in values.items() if name not in left_out}


def headline(dataset: xr.Dataset) -> str:
    """Name the optimizer and the problem."""
    return printable(f"{dataset.attrs['optimizer']} on {dataset.attrs['problem']}")


def title(dataset: xr.Dataset, inches: float, *more: str) -> str:
    """Title of a figure in lines that fit its width; for refined sweeps with the share computed."""
    lines = wrap([*settings(dataset), *more], inches, f"{headline(dataset)}: ")
    if (dataset["status"] == INFERRED).any():
        computed = int((dataset["status"] == COMPUTED).sum())
        cells = f"{computed:,} of {dataset['status'].size:,} cells computed"
        lines += f"\n{cells}, the pale ones inferred"
    return lines


def wrap(parts: list[str], inches: float, head: str = "") -> str:
    """Join texts by commas in lines of a width; only texts longer than a line are broken."""
    letters = max(int(inches * 72 / (SIZE * LETTER)), 10)
    unbroken = [part.replace(" ", "\xa0") for part in parts]
    return textwrap.fill(head + ", ".join(unbroken), letters).replace("\xa0", " ")
