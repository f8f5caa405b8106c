"""`phasejax classify`: label a sweep again, or curves from a file."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

import phasejax as pj

from .._check import ArgumentError
from .options import Json
from .parser import renamed
from .stores import opened


def classify(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A sweep's folder, whose cells are labelled again, or a CSV or NPY file of loss "
            "curves, one run per column.",
        ),
    ],
    minimum: Annotated[
        float | None,
        typer.Option(
            help="Smallest value that the losses of a file can have; estimated if it is left out."
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Label a sweep again, or loss curves from a file."""
    if path.is_dir():
        _classify_store(path)
    else:
        _classify_curves(path, minimum, as_json)
    return 0


def _classify_store(path: Path) -> None:
    """Replace the labels in a store."""
    from ..results.store import Store

    opened(path)  # raises the error that says what is wrong with the folder
    with renamed({"store": "path"}), Store(path) as store:
        store.lock()
        dataset = pj.classify(pj.open_dataset(path).load())
        store.relabel(dataset)
    print(pj.summary(dataset))


def _classify_curves(path: Path, minimum: float | None, as_json: bool) -> None:
    """Print the label and the features of every curve in a file."""
    from . import curves

    regimes = {name: _classified(name, curve, minimum) for name, curve in curves.read(path).items()}
    if as_json:
        print(json.dumps({name: _as_json(regime) for name, regime in regimes.items()}, indent=2))
        return
    for name, regime in regimes.items():
        print(f"{name}: {regime}, margin {regime.margin:.2f} decades")
        for feature, value in regime.features.items():
            print(f"  {feature:<20} {value:.4g}")


def _classified(name: str, curve: Any, minimum: float | None) -> "pj.Regime":
    """Label one curve of a file; an error about the curve names the file's column."""
    try:
        return pj.classify_curve(curve, minimum)
    except ArgumentError as error:
        if error.argument == "minimum":
            raise
        raise ArgumentError("path", f": {name}: {error}") from error


def _as_json(regime: "pj.Regime") -> dict[str, Any]:
    """Return a regime for JSON, which has no infinite numbers: they become null."""
    features = {name: v if math.isfinite(v) else None for name, v in regime.features.items()}
    return {"regime": regime.label, "margin": regime.margin, "features": features}
