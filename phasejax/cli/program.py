"""The program `phasejax`: its commands, and errors as one line and an exit code."""

import importlib.metadata
import io
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from .._check import MissingExtra, located
from .._interrupt import heard, interrupted
from .label import classify
from .look import border, info, plot, view
from .parser import Command, grouped
from .sweep import sweep, zoom

COMMANDS = (sweep, zoom, border, classify, plot, view, info)
"""In the order of the help."""


def _print_version(wanted: bool) -> bool:
    if wanted:
        phasejax, jax, optax = map(importlib.metadata.version, ("phasejax", "jax", "optax"))
        print(f"phasejax {phasejax} (jax {jax}, optax {optax})")
        raise typer.Exit
    return wanted


def _global_options(
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Print the whole of an error before its one line.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Phase diagrams of optimizer dynamics."""


def _build() -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(_global_options)
    for function in COMMANDS:
        app.command(cls=Command)(grouped(function))
    return app


app = _build()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a Windows console may lack some letters
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _warn
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with heard():
            return _run(words or ["--help"])
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:
        return _fail(f"a function of a given file exits ({end.code}) while it runs", 2)
    except KeyboardInterrupt as error:
        kept = hasattr(error, "__notes__")  # a sweep adds one when it has begun to write its store
        return _fail(f"interrupted{'; finished tiles are kept, continue with --resume' * kept}", 1)
    except Exception as error:
        return _fail(*_one_line(error))


def _run(words: list[str]) -> int:
    """Run one command; returns its exit code.

    With `--traceback`, an error is printed in full. The parser's own `main` is not used, because it
    prints nothing on an interrupt.
    """
    commands = typer.main.get_command(app)
    with commands.make_context("phasejax", words) as context:
        try:
            code = commands.invoke(context)
        except Exception as error:
            if context.params["traceback"] and not isinstance(error, typer.Exit):
                traceback.print_exception(error)
            raise
    return code if isinstance(code, int) else 0


def _one_line(error: Exception) -> tuple[str, int]:
    """Return what to print of an error, and the exit code."""
    if hasattr(error, "format_message"):  # a usage error of the command-line parser
        return error.format_message(), 2  # pyright: ignore[reportAttributeAccessIssue]
    at_line = located(error)
    if isinstance(error, ValueError | TypeError | MissingExtra) and at_line is None:
        return str(error), 2
    said = at_line or f"{type(error).__name__}: {error}"
    return f"{said} (full error: phasejax --traceback ...)", 2 if at_line else 1


def _fail(message: str, code: int) -> int:
    _say("error", message)
    return code


def _warn(message: Warning | str, *_: object) -> None:
    """Print a warning, unless a signal came: threads that go on then may warn of half a store."""
    if not interrupted():
        _say("warning", str(message))


def _say(kind: str, message: str) -> None:
    """Print an error or a warning as one line."""
    print(f"{kind}: {' '.join(message.split())}", file=sys.stderr)
