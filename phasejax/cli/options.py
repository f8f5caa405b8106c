"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

NEAREST = (
    "Of an axis of numbers the nearest value is taken, on a logarithmic axis the nearest by ratio."
)
"""The rule of `--at`; `phasejax.results.axes.index_of` follows it."""

StorePath = Annotated[
    Path, typer.Argument(metavar="STORE", help="Folder that `phasejax sweep` wrote.")
]
At = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=VALUE,...", help=f"Values of the axes that are not drawn: seed=1. {NEAREST}"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Horizontal = Annotated[
    str | None, typer.Option(metavar="NAME", help="Horizontal axis; by default the first.")
]
Vertical = Annotated[
    str | None, typer.Option(metavar="NAME", help="Vertical axis; by default the second.")
]
Lines = Annotated[
    list[str] | None,
    typer.Option(
        "--line",
        metavar="FORMULA",
        help="A line to draw: 'b = 12 a'. Give --line again for more.",
    ),
]

Beta = Annotated[
    bool,
    typer.Option(
        "--beta",
        help="Show the axes delta and gamma as the decays β₁ = 1 - delta and β₂ = 1 - gamma, "
        "rising rightwards and upwards.",
    ),
]

NewStore = Annotated[Path, typer.Option(help="Folder for the results (Zarr v3).")]
Resume = Annotated[bool, typer.Option("--resume", help="Run the cells that the store lacks.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the store.")]
Refine = Annotated[
    str | None,
    typer.Option(
        metavar="COUNT",
        help="Start with the ranges as they are and compute only along borders, up to this many "
        "values per axis: 257, or a=257,b=129",
    ),
]
