"""The problem and the dynamics that a command line names, or loads from a user's own file."""

import dataclasses
import inspect
import runpy
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import phasejax as pj

from .._check import OWN_FILE, ArgumentError, bad, choice, located


def problem(name: str, arguments: dict[str, Any]) -> "pj.Problem":
    """Make a built-in problem, or one from a user's own function."""
    function = from_file("problem", name)
    if function is None:
        choice("problem", name, pj.problems.BUILT_IN)
        function = pj.problems.BUILT_IN[name]
    _check_arguments(name, function, arguments)
    try:
        made = function(**arguments)
    except ArgumentError as error:
        if located(error) or not arguments:
            raise
        raise ArgumentError("problem_arg", f" {error}") from error
    except (ValueError, TypeError) as error:
        if located(error) or not arguments:
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        fails = f": {name} fails with {given}: {type(error).__name__}: {error}"
        raise ArgumentError("problem_arg", fails) from error
    if not isinstance(made, pj.Problem):
        allowed = f"a function that returns a phasejax.Problem; it returned {type(made).__name__}"
        raise bad("problem", name, allowed)
    return made


def _check_arguments(name: str, function: Callable, given: Collection[str]) -> None:
    """Refuse arguments that the function of a problem does not take, and name those it lacks."""
    parameters = _parameters(function)
    if parameters is None:  # the function itself checks them
        return
    keywords = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for argument in given:
            choice("problem_arg", argument, [p.name for p in keywords])
    for parameter in keywords:
        if parameter.default is parameter.empty and parameter.name not in given:
            missing = f" {parameter.name}=VALUE is missing: {name} needs it"
            raise ArgumentError("problem_arg", missing)


def _parameters(function: Callable) -> list[inspect.Parameter] | None:
    """Return the parameters of a function; `None` where Python cannot say, as for `dict`."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return None


def dynamics(name: str, flow: bool, solving: dict[str, Any]) -> "pj.Dynamics":
    """Find an optimizer or a flow by name, or load a user's own.

    `flow` says what a user's own is; `solving` has the options of a flow's solver that were given.
    """
    own = from_file("optimizer", name, _is_function_or_dynamics)
    if own is None:
        found = pj.dynamics.by_name(name)
    elif not isinstance(own, pj.Dynamics) and _parameters(own) is None:
        raise bad("optimizer", name, "a function whose arguments have names")
    else:
        found = pj.dynamics.as_dynamics(own, "time" if flow else "step")
    for flag, value in solving.items():
        if flag not in found.config:
            raise bad(flag, value, f"left out: {name} is not a flow and has no solver")
    return dataclasses.replace(found, **solving)


def probe(text: str) -> Any:
    """Return the name of a probe as it is, or load a user's own: a function or a `Probe`."""
    own = from_file("probe", text, lambda x: callable(x) or isinstance(x, pj.probes.Probe))
    return text if own is None else own


def from_file(flag: str, text: str, wanted: Callable[[Any], bool] = callable) -> Any | None:
    """Load what is `wanted` from `FILE.py:NAME`; `None` for a text of another form."""
    path, colon, name = text.rpartition(":")  # the last colon: a path of Windows has another
    if text.endswith(".py"):
        raise bad(flag, text, "FILE.py:FUNCTION; the function is missing")
    if not (colon and path.endswith(".py")):
        return None
    if not Path(path).is_file():
        raise bad(flag, text, "FILE.py:FUNCTION; there is no such file")
    try:
        contents = runpy.run_path(path, run_name=OWN_FILE)
    except SystemExit as error:
        ends = RuntimeError(f"the file exits ({error}) while it is loaded")
        raise ends.with_traceback(error.__traceback__) from error
    except (SyntaxError, ValueError) as error:
        if located(error):
            raise
        raise bad(flag, text, f"FILE.py:FUNCTION of a Python file: {error}") from error
    choice(flag, name, [key for key, value in contents.items() if wanted(value)])
    return contents[name]


def _is_function_or_dynamics(value: Any) -> bool:
    return callable(value) or isinstance(value, pj.Dynamics)
