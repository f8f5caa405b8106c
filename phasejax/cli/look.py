"""Commands that show a sweep: `phasejax info`, `border`, `plot` and `view`."""

import json
import tempfile
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import phasejax as pj

from .._check import ArgumentError, bad
from . import values
from .again import on_grid, replayed, replays
from .options import NEAREST, At, Beta, Horizontal, Json, Lines, StorePath, Vertical
from .stores import MADE_BY, default_output, opened, selected

if TYPE_CHECKING:
    import xarray as xr

Over = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Draw a panel for each value of a third axis; with --probability, the axis whose "
        "values are the runs of a cell.",
    ),
]
Marks = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE,...",
        help="A cell to mark: a=1,b=100. Give --mark again for more, or --mark none for none. "
        "By default the paper's three, if the sweep is the paper's.",
    ),
]


def info(
    store: StorePath,
    as_json: Json = False,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help=f"Describe one cell, with a value of every axis: a=1,b=100. {NEAREST}",
        ),
    ] = None,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay",
            help="Run the cell of --at again, and print what only the loss of every step shows: "
            "the step of its first spike, and the period of its spikes.",
        ),
    ] = False,
    safe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Say how far this axis may be followed without spikes or divergence.",
        ),
    ] = None,
) -> int:
    """Print what was run and how many cells fell into each regime."""
    if replay and at is None:
        raise ArgumentError("replay", " needs a cell: give --at too")
    dataset = opened(store)
    if safe is not None:
        if at is not None:
            raise bad("safe", safe, "given without --at")
        print(_safe(dataset, safe, as_json))
        return 0
    if at is not None:
        answer = pj.cell(dataset, values.point(at))
        if replay:
            answer["replay"] = replayed(dataset, values.point(at))
    else:
        answer = {"regimes": pj.regime_counts(dataset), "config": dataset.attrs}
    if as_json:
        print(json.dumps(answer, indent=2))
    elif at is not None:
        again = answer.pop("replay", {})
        _print_values(answer)
        if replay:
            print("from the loss of every step:")
            _print_values(again)
    else:
        print(pj.summary(dataset))
    return 0


def _print_values(numbers: Mapping[str, Any]) -> None:
    """Print a name and a value per line."""
    for name, value in numbers.items():
        print(f"{name:<20} {f'{value:.6g}' if isinstance(value, float) else value}")


def _safe(dataset: "xr.Dataset", along: str, as_json: bool) -> str:
    """Return the answer of `info --safe`: for each row as JSON, or one sentence."""
    try:
        found = pj.safe_region(dataset, along)
    except ArgumentError as error:
        raise error.renamed({"along": "safe"}) from None
    if not as_json:
        return found.attrs["summary"]
    rows = {
        str(name): found[name].astype(object).where(found[name].notnull(), None).values.tolist()
        for name in (*found["limit"].dims, *found.data_vars)
    }
    return json.dumps({**found.attrs, **rows}, indent=2)


def border(
    store: StorePath,
    regime: Annotated[
        str | None, typer.Option(help="Only the border of this regime; by default every border.")
    ] = None,
    at: At = None,
    as_json: Json = False,
) -> int:
    """Measure the box-counting dimension of a border between regimes."""
    found = pj.border_dimension(selected(store, at), regime)
    if as_json:
        fields = {"dimension": found.dimension, "error": found.error}
        fields |= {"sizes": found.sizes.tolist(), "counts": found.counts.tolist()}
        print(json.dumps(fields, indent=2))
        return 0
    print(f"dimension {found.dimension:.3f} ± {found.error:.3f} (95 %)")
    print("side of a box in cells: boxes that hold a piece of border")
    for size, count in zip(found.sizes, found.counts, strict=True):
        print(f"  {size:4}: {count:.1f}")
    return 0


def plot(
    store: StorePath,
    output: Annotated[
        Path | None,
        typer.Option(
            help="A PNG, SVG or PDF file; by default phase_diagram.png next to the store, or "
            "NAME.png of --variable NAME."
        ),
    ] = None,
    x: Horizontal = None,
    y: Vertical = None,
    late_loss: Annotated[
        bool, typer.Option("--late-loss", help="Draw the late loss too, in a second panel.")
    ] = False,
    over: Over = None,
    variable: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Draw this variable instead of the regimes: a feature, what a probe measured (of "
            "its windows the late median), or one of the mechanism, such as edge_crossing.",
        ),
    ] = None,
    probability: Annotated[
        bool, typer.Option("--probability", help="Draw how probable each regime is over the seeds.")
    ] = False,
    mark: Marks = None,
    line: Lines = None,
    beta: Beta = False,
    safe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Draw how far this axis may be followed without spikes and divergence.",
        ),
    ] = None,
    at: At = None,
) -> int:
    """Draw the phase diagram of a sweep, or a variable over its plane."""
    if variable is not None and (late_loss or probability or over is not None):
        raise bad("variable", variable, "given without --late-loss, --probability and --over")
    if safe is not None and (variable is not None or probability or over is not None):
        raise bad("safe", safe, "given without --variable, --probability and --over")
    output = output or default_output(store, _picture(variable))
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise bad("output", str(output), "a name ending in .png, .svg or .pdf")
    dataset = selected(store, at)
    drawn = {"x": x, "y": y, "marks": values.marks(mark), "lines": line, "beta": beta}
    if variable is not None:
        figure = pj.variable_map(dataset, variable, **drawn)
    elif probability:
        figure = pj.probability_diagram(dataset, over or _seeds(dataset), **drawn)
    elif over is not None:
        figure = pj.small_multiples(dataset, over, **drawn)
    else:
        figure = pj.phase_diagram(dataset, late_loss=late_loss, safe=safe, **drawn)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=150, metadata={"Title": f"{dataset.attrs['title']} - {MADE_BY}"})
    print(f"wrote {output}")
    return 0


def _picture(variable: str | None) -> str:
    """Name the picture of a variable; one that no file can be named by is refused later."""
    return f"{variable}.png" if variable and variable.isidentifier() else "phase_diagram.png"


def _seeds(dataset) -> str:
    """Return the axis that `--probability` counts over if `--over` names none."""
    axes = [str(name) for name in dataset["regime"].dims]
    if "seed" not in axes:
        raise ArgumentError(
            "probability",
            f" needs an axis seed, and the axes are {', '.join(axes)}: run the sweep with "
            "--seed 0,1,2, or name another axis by --over",
        )
    return "seed"


def view(
    store: StorePath,
    output: Annotated[
        Path | None,
        typer.Option(help="An HTML file; by default phase_diagram.html next to the store."),
    ] = None,
    x: Horizontal = None,
    y: Vertical = None,
    mark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="A cell whose curve the page shows at first: a=1,b=100. Give --mark again for "
            "more, or --mark none for none.",
        ),
    ] = None,
    replay: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="A cell to run again, so that the page shows the loss of every step: a=1,b=100. "
            "Give --replay again for more.",
        ),
    ] = None,
    line: Lines = None,
    at: At = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> int:
    """Write a page that shows a sweep, finished or not, and open it."""
    output = output or default_output(store, "phase_diagram.html")
    drawn = {"marks": values.marks(mark), "lines": line}
    dataset = selected(store, at)
    if replay:
        cells = [on_grid(dataset, text) for text in replay]
        with tempfile.TemporaryDirectory() as folder:  # refuses arguments before cells run
            pj.write_page(dataset, f"{folder}/page.html", x=x, y=y, **drawn)
        drawn["replays"] = replays(dataset, [c for i, c in enumerate(cells) if c not in cells[:i]])
    page = pj.write_page(dataset, output, x=x, y=y, **drawn)
    print(f"wrote {page}")
    if browser:
        webbrowser.open(page.resolve().as_uri())
    return 0
