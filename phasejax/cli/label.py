"""`phasejax classify`: label a sweep again, or the runs of training logs."""

from pathlib import Path
from typing import Annotated

import typer

import phasejax as pj

from .._check import bad
from .options import Json
from .parser import renamed
from .stores import is_store, opened


def classify(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Training logs, or folders of them: tables, JSON, NPY, TensorBoard events, and "
            "what common training programs print. A sweep's folder: its cells are labelled again.",
        ),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Column of losses; by default found by its name. Give --column again for more.",
        ),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column of steps; by default found by its name."),
    ] = None,
    minimum: Annotated[
        float | None,
        typer.Option(
            help="Smallest value that the losses of a log can have; estimated if it is left out."
        ),
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Print what is in each log, without labels.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the runs of logs as a PNG, SVG or PDF file."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Label a sweep again, or the runs of training logs."""
    if plot is not None and plot.suffix not in (".png", ".svg", ".pdf"):
        raise bad("plot", str(plot), "a name ending in .png, .svg or .pdf")
    if plot is not None and only_list:
        raise bad("plot", str(plot), "given without --list")
    stores = [path for path in paths if is_store(path)]
    for path in stores:
        _classify_store(path)
    if len(stores) < len(paths):
        from . import logs

        with renamed({"path": "paths"}):
            logs.classify([path for path in paths if path not in stores], column, step, minimum,
                          only_list=only_list, plot=plot, as_json=as_json)  # fmt: skip
    return 0


def _classify_store(path: Path) -> None:
    """Replace the labels in a store."""
    from ..results.store import Store

    opened(path)  # raises the error that says what is wrong with the folder
    with renamed({"store": "paths"}), Store(path) as store:
        store.lock()
        dataset = pj.classify(pj.open_dataset(path).load())
        store.relabel(dataset)
    print(pj.summary(dataset))
