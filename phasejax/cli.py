"""The command line: `phasejax sweep | zoom | classify | plot | view | border | info`.

Every command does what a line of Python does; files, exit codes and one-line errors are here.
Exit codes: 0, 1 (the run failed), 2 (bad usage, or an error in a user's own file).
"""

import contextlib
import functools
import importlib.metadata
import io
import json
import math
import sys
import traceback
import warnings
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import phasejax as pj

from . import _text
from ._check import ArgumentError, bad, located
from ._interrupt import heard

HELD_BY = {"dataset": "store", "zoom": "to", "low:high": "to", "low": "to"}
"""Arguments of the package that commands take under another name: a dataset as its store."""


class Commands(TyperGroup):
    """Commands whose errors name arguments as their command line does."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; with `--traceback`, an error is shown in full before it is summed up."""
        try:
            return super().invoke(ctx)
        except typer.Exit:  # help was asked for
            raise
        except Exception as error:
            if ctx.params["traceback"]:
                traceback.print_exception(error)
            if isinstance(error, ArgumentError) and located(error) is None:
                flags = {p.name: _shown(p) for p in self.commands[ctx.invoked_subcommand].params}
                raise ArgumentError(_flag(error.argument, flags), error.text) from error
            raise


class Command(TyperCommand):
    """A command that refuses an option given twice, for one of the two would be lost."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Count options, then parse them."""
        *_, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            once = not (option.multiple or getattr(option, "is_flag", False))
            if given.count(option) > 1 and once:
                raise ArgumentError(option.opts[0], " is given twice: give it once")
        return super().parse_args(ctx, args)


def _shown(parameter: Any) -> str:
    """An option or a positional argument as the help names it: `--learning-rate`, `STORE`."""
    if parameter.param_type_name == "option":
        return parameter.opts[0]
    return parameter.metavar or parameter.name.upper()


def _flag(argument: str, flags: dict[str, str]) -> str:
    """Name an argument of the package as a command does that has it; the first word counts."""
    name, space, rest = argument.partition(" ")
    return flags.get(HELD_BY.get(name, name), name) + space + rest


app = typer.Typer(
    cls=Commands,
    help="Phase diagrams of optimizer dynamics.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
command = functools.partial(app.command, cls=Command)
RANGE = "LOW:HIGH:COUNT (log-spaced; LOW:HIGH:COUNT:linear), or V1,V2,... or one fixed value"
MADE_BY = "phasejax"
"""Stands in every picture and page."""
FurtherAxes = Annotated[
    str | None, typer.Option(metavar="NAME=VALUE,...", help="Values of further axes.")
]
Across = Annotated[str | None, typer.Option(help="Horizontal axis; by default the first.")]
Up = Annotated[str | None, typer.Option(help="Vertical axis; by default the second.")]
Marked = Annotated[
    list[str] | None,
    typer.Option(
        "--mark",
        metavar="NAME=VALUE,...",
        help="A cell to mark, a=1,b=100; again for others; none for none. By default the paper's "
        "three, where the sweep is the paper's.",
    ),
]
Drawn = Annotated[
    list[str] | None,
    typer.Option("--line", metavar="FORMULA", help="A line to draw, 'b = 12 a'; again for others."),
]
JSON = Annotated[bool, typer.Option("--json", help="For machines.")]
StorePath = Annotated[Path, typer.Argument(help="Folder that `phasejax sweep` wrote.")]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    commands = typer.main.get_command(app)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # letters that a Windows console may lack
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = lambda message, *_: _say("warning", str(message))
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # The parser's own `main` would answer an interrupt with an exit code and no word.
        with heard(), commands.make_context("phasejax", words or ["--help"]) as context:
            code = commands.invoke(context)
        return code if isinstance(code, int) else 0
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:  # of a user's function
        return _fail(f"a file that was given exits ({end.code}) while it is run", 2)
    except KeyboardInterrupt as error:
        kept = hasattr(error, "__notes__")  # by a sweep that has begun to write its store
        return _fail(f"interrupted{'; finished tiles are kept, go on with --resume' * kept}", 1)
    except Exception as error:
        return _fail(*_summed_up(error))


def _summed_up(error: Exception) -> tuple[str, int]:
    """Return what to print of an error, and the exit code."""
    if hasattr(error, "format_message"):  # a usage error of the command-line parser
        return error.format_message(), 2  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(error, ValueError | TypeError) and located(error) is None:
        return str(error), 2
    said = located(error) or f"{type(error).__name__}: {error}"
    return f"{said} (all of it: phasejax --traceback ...)", 2 if located(error) else 1


def _fail(message: str, code: int) -> int:
    _say("error", message)
    return code


def _say(kind: str, message: str) -> None:
    """Print an error or a warning as one line."""
    print(f"{kind}: {' '.join(message.split())}", file=sys.stderr)


def _tell_version(wanted: bool) -> bool:
    if wanted:
        phasejax, jax, optax = map(importlib.metadata.version, ("phasejax", "jax", "optax"))
        print(f"phasejax {phasejax} (jax {jax}, optax {optax})")
        raise typer.Exit
    return wanted


@app.callback()
def phasejax(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show all of an error, before the one line.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Phase diagrams of optimizer dynamics."""


@command()
def sweep(
    problem: Annotated[
        str,
        typer.Option(
            help="digits, quadratic, power, rosenbrock, deep_linear, cifar10 (with "
            "--problem-arg folder=PATH), or FILE.py:FUNCTION, which takes --problem-arg too."
        ),
    ] = "digits",
    problem_arg: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Argument of the problem: hidden=32,32"),
    ] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            help="adam or rmsprop in a and b, any of optax and optax.contrib (adamw, prodigy; "
            "optax.adam), adam_flow, rmsprop_flow, signgd_flow, or FILE.py:FUNCTION, whose "
            "arguments are --axis too."
        ),
    ] = "adam",
    a: Annotated[str | None, typer.Option(metavar="RANGE", help=RANGE)] = None,
    b: Annotated[str | None, typer.Option(metavar="RANGE", help="As --a.")] = None,
    learning_rate: Annotated[
        str | None, typer.Option(metavar="RANGE", help="As --a; own optimizers: 0.001.")
    ] = None,
    eps: Annotated[
        str | None, typer.Option(metavar="RANGE", help="As --a; outside the root.")
    ] = None,
    eps_root: Annotated[
        str | None, typer.Option(metavar="RANGE", help="As --a; inside the root.")
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(metavar="RANGE", help="Seed of the starting point: 0 by default, or 0,1,2"),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=RANGE",
            help="Any other argument of the optimizer, as an axis or fixed: "
            "b1=0.5:0.99:20:linear, nesterov=True,False",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps per cell; by default 20000.", show_default=False)
    ] = None,
    time: Annotated[
        float | None, typer.Option(help="Length of a flow, instead of steps.", show_default=False)
    ] = None,
    solver: Annotated[
        str | None, typer.Option(help="Of a flow: auto, tsit5, dopri8, kvaerno5, ...")
    ] = None,
    rtol: Annotated[float | None, typer.Option(help="Of a flow: 1e-8 by default.")] = None,
    atol: Annotated[float | None, typer.Option(help="Of a flow: 1e-14 by default.")] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="Of a flow: solver steps per cell; 200000 by default.")
    ] = None,
    windows: Annotated[int, typer.Option(help="Windows of steps a curve is kept as.")] = 256,
    dtype: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    store: Annotated[Path, typer.Option(help="Folder for the results (Zarr v3).")] = Path(
        "sweep.zarr"
    ),
    resume: Annotated[bool, typer.Option("--resume", help="Run what the store lacks.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the store.")] = False,
    block_size: Annotated[
        int | None, typer.Option(help="Cells that a device advances at once; by default measured.")
    ] = None,
    refine: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT",
            help="Start with the ranges as they are and compute along borders alone, to so many "
            "values: 257, or a=257,b=129",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="Let the workers of a Dask scheduler run it."),
    ] = None,
) -> int:
    """Run every cell of a grid of hyper-parameters and label its regime.

    Example: phasejax sweep --problem digits --a 0.3:300:24 --b 0.3:300:24 --store out/a-b.zarr
    """
    named = {
        "a": a,
        "b": b,
        "learning_rate": learning_rate,
        "eps": eps,
        "eps_root": eps_root,
        "seed": seed,
    }
    given = [(name, text) for name, text in named.items() if text is not None]
    hyper = _text.hyper_parameters(given + [_text.pair("axis", text) for text in axis or []])
    arguments = _text.once(_text.pair("problem_arg", text) for text in problem_arg or [])
    solving = {"solver": solver, "rtol": rtol, "atol": atol, "max_steps": max_steps}
    from .devices import check_platform

    dynamics = _text.dynamics(optimizer, time is not None, solving)
    counts = None if refine is None else _text.counts(refine)
    pj.use_all_cores()
    pj.use_compilation_cache()
    check_platform()
    dataset = pj.sweep(
        _text.problem(problem, {name: _text.literal(text) for name, text in arguments.items()}),
        dynamics,
        pj.Grid(**hyper),
        steps=steps,
        time=time,
        windows=windows,
        dtype=dtype,
        store=store,
        overwrite=overwrite,
        resume=resume,
        block_size=block_size,
        refine=counts,
        executor=None if scheduler is None else _connect(scheduler),
    )
    return _told(dataset, store)


@command()
def zoom(
    source: Annotated[Path, typer.Argument(metavar="STORE", help="The sweep to look into.")],
    to: Annotated[str, typer.Option(metavar="NAME=LOW:HIGH,...", help="The window: a=1:3,b=10:30")],
    store: Annotated[Path, typer.Option(help="Folder for the new results.")] = Path("zoom.zarr"),
    refine: Annotated[
        str | None, typer.Option(metavar="COUNT", help="As of `phasejax sweep`.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Run what the store lacks.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the store.")] = False,
) -> int:
    """Run a stored sweep anew on a window of its plane.

    Example: phasejax zoom out/a-b.zarr --to a=1:10,b=30:300 --refine 257 --store out/zoom.zarr
    """
    from .devices import check_platform
    from .results.rerun import arguments_of

    with _called("source"):
        dataset = pj.open_dataset(source)
    windows = _text.windows(to)
    counts = None if refine is None else _text.counts(refine)
    pj.use_all_cores()
    pj.use_compilation_cache()
    check_platform()
    dataset = pj.sweep(
        **arguments_of(dataset),
        grid=pj.zoom(dataset, **windows),
        store=store,
        refine=counts,
        resume=resume,
        overwrite=overwrite,
    )
    return _told(dataset, store)


@command()
def border(
    store: StorePath,
    regime: Annotated[str | None, typer.Option(help="Around this regime alone.")] = None,
    at: FurtherAxes = None,
    as_json: JSON = False,
) -> int:
    """Measure the box-counting dimension of a border between regimes."""
    found = pj.border_dimension(_select(store, at), regime)
    if as_json:
        fields = {"dimension": found.dimension, "error": found.error}
        fields |= {"sizes": found.sizes.tolist(), "counts": found.counts.tolist()}
        print(json.dumps(fields, indent=2))
        return 0
    print(f"dimension {found.dimension:.3f} ± {found.error:.3f} (95 %), boxes of side: number")
    for size, count in zip(found.sizes, found.counts, strict=True):
        print(f"  {size:4}: {count:.1f}")
    return 0


@command()
def classify(
    path: Annotated[
        Path,
        typer.Argument(
            help="A sweep's folder, to label its cells anew, or loss curves, one run a column: "
            "CSV or NPY."
        ),
    ],
    minimum: Annotated[
        float, typer.Option(help="Smallest value that the losses of a file can have.")
    ] = 0.0,
    as_json: JSON = False,
) -> int:
    """Label a sweep anew, or loss curves from a file."""
    if not path.is_dir():
        curves = _text.curves(path)
        regimes = {name: _classified(name, curve, minimum) for name, curve in curves.items()}
        if as_json:
            print(json.dumps({name: _plain(r) for name, r in regimes.items()}, indent=2))
            return 0
        for name, regime in regimes.items():
            print(f"{name}: {regime}, margin {regime.margin:.2f} decades")
            for feature, value in regime.features.items():
                print(f"  {feature:<20} {value:.4g}")
        return 0
    from .results.store import Store

    with _called("path"):
        pj.open_dataset(path)  # or say what is wrong with it
        with Store(path) as store:
            store.lock()
            dataset = pj.classify(pj.open_dataset(path).load())
            store.relabel(dataset)
    print(pj.summary(dataset))
    return 0


@command()
def plot(
    store: StorePath,
    output: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF; by default phase_diagram.png beside it.")
    ] = None,
    x: Across = None,
    y: Up = None,
    late_loss: Annotated[bool, typer.Option("--late-loss", help="Add the late loss.")] = False,
    over: Annotated[
        str | None, typer.Option(metavar="NAME", help="A panel for each value of a third axis.")
    ] = None,
    probability: Annotated[
        bool, typer.Option("--probability", help="How probable each regime is over the seeds.")
    ] = False,
    mark: Marked = None,
    line: Drawn = None,
    at: FurtherAxes = None,
) -> int:
    """Draw the phase diagram of a sweep."""
    output = output or _beside(store, "phase_diagram.png")
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise bad("output", str(output), "a name ending in .png, .svg or .pdf")
    dataset = _select(store, at)
    drawn = {"x": x, "y": y, "marks": _text.marks(mark), "lines": line}
    if probability:
        figure = pj.probability_diagram(dataset, over or "seed", **drawn)
    elif over is not None:
        figure = pj.small_multiples(dataset, over, **drawn)
    else:
        figure = pj.phase_diagram(dataset, late_loss=late_loss, **drawn)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=150, metadata={"Title": f"{dataset.attrs['title']} - {MADE_BY}"})
    print(f"wrote {output}")
    return 0


@command()
def view(
    store: StorePath,
    output: Annotated[
        Path | None, typer.Option(help="By default phase_diagram.html beside the store.")
    ] = None,
    x: Across = None,
    y: Up = None,
    mark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...", help="A cell whose curve is open at first, as of plot."
        ),
    ] = None,
    line: Drawn = None,
    at: FurtherAxes = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> int:
    """Write a page to look around in a sweep, finished or not, and open it."""
    output = output or _beside(store, "phase_diagram.html")
    drawn = {"marks": _text.marks(mark), "lines": line}
    page = pj.write_page(_select(store, at), output, x=x, y=y, **drawn)
    print(f"wrote {page}")
    if browser:
        webbrowser.open(page.resolve().as_uri())
    return 0


@command()
def info(
    store: StorePath,
    as_json: JSON = False,
    at: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE,...", help="The nearest cell alone: a=1,b=100"),
    ] = None,
) -> int:
    """Print what was run and how many cells fell into each regime."""
    dataset = pj.open_dataset(store)
    if at is not None:
        answer = pj.cell(dataset, _text.point(at))
    else:
        answer = {"regimes": pj.regime_counts(dataset), "config": dataset.attrs}
    if as_json:
        print(json.dumps(answer, indent=2))
    elif at is not None:
        for name, value in answer.items():
            print(f"{name:<20} {f'{value:.6g}' if isinstance(value, float) else value}")
    else:
        print(pj.summary(dataset))
    return 0


def _told(dataset, store: Path) -> int:
    """Say what a sweep found and where it is; returns the exit code."""
    print(pj.summary(dataset))
    print(f"wrote {store}; next: phasejax plot {store}")
    return 1 if dataset.attrs["failures"] else 0


def _connect(scheduler: str):
    try:
        from .engine.cluster import connect
    except ImportError as error:
        allowed = "left out, or Dask installed: pip install 'phasejax[cluster]'"
        raise bad("scheduler", scheduler, allowed) from error
    return connect(scheduler)


def _beside(store: Path, name: str) -> Path:
    """Where a picture goes by default; one that phasejax did not make is not replaced."""
    path = store.parent / name
    if path.exists() and not (path.is_file() and MADE_BY.encode() in path.read_bytes()):
        raise bad("--output", None, f"given: there is {path}, which phasejax did not make")
    return path


def _plain(regime: "pj.Regime") -> dict:
    """A regime as JSON has it, where numbers are finite."""
    features = {name: v if math.isfinite(v) else None for name, v in regime.features.items()}
    return {"regime": regime.label, "margin": regime.margin, "features": features}


@contextlib.contextmanager
def _called(parameter: str) -> Iterator[None]:
    """Name the argument by which a command takes a store, where that is not `store`."""
    try:
        yield
    except ArgumentError as error:
        held = parameter if error.argument == "store" else error.argument
        raise ArgumentError(held, error.text) from error


def _classified(name: str, curve: Any, minimum: float) -> "pj.Regime":
    """Label one curve of a file; what is wrong with it is said of the file."""
    try:
        return pj.classify_curve(curve, minimum)
    except ArgumentError as error:
        if error.argument == "minimum":
            raise
        raise ArgumentError("path", f": {name}: {error}") from error


def _select(store: Path, at: str | None):
    from .results.summary import choose

    return choose(pj.open_dataset(store), _text.point(at) if at is not None else {})
