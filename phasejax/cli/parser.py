"""How arguments are parsed: groups of options, options given twice, and errors that name flags."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from typer.core import TyperCommand

from .._check import ArgumentError, located


@dataclass(frozen=True, eq=False)
class Group:
    """Options that a function takes together, as one dict.

    - `options`: the annotation of each, by its name.
    """

    options: dict[str, Any]


def grouped(function: Callable) -> Callable:
    """Return a command that has all options of the groups of a function.

    An argument annotated with `Annotated[dict[str, Any], Group(...)]` becomes one option for each
    entry of the group. The function gets the dict of those that are given.
    """
    signature = inspect.signature(function)
    groups: dict[str, Group] = {}
    options: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        group = next((g for g in get_args(parameter.annotation) if isinstance(g, Group)), None)
        if group is None:
            options.append(parameter)
            continue
        groups[parameter.name] = group
        options += [
            inspect.Parameter(name, parameter.kind, default=None, annotation=annotation)
            for name, annotation in group.options.items()
        ]

    @functools.wraps(function)
    def command(**values: Any) -> Any:
        for argument, group in groups.items():
            of_group = {name: values.pop(name) for name in group.options}
            values[argument] = {n: value for n, value in of_group.items() if value is not None}
        return function(**values)

    command.__signature__ = signature.replace(parameters=options)  # pyright: ignore[reportAttributeAccessIssue]
    return command


class Command(TyperCommand):
    """A command that refuses an option given twice, and whose errors name flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an option given twice, because one of the two values would be ignored."""
        *_, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            repeatable = option.multiple or getattr(option, "is_flag", False)
            if given.count(option) > 1 and not repeatable:
                raise ArgumentError(option.opts[0], " is given twice: give it once")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error names arguments as the help does: `--learning-rate`, `STORE`.

        The first positional argument stands for the package's `dataset`.
        """
        shown = {parameter.name: _shown(parameter) for parameter in self.params}
        positional = [p.name for p in self.params if p.param_type_name == "argument"]
        if positional:
            shown["dataset"] = shown[positional[0]]
        with renamed(shown):
            return super().invoke(ctx)


def _shown(parameter: Any) -> str:
    """Return what the help calls an option or a positional argument."""
    option = parameter.param_type_name == "option"
    return parameter.opts[0] if option else parameter.metavar


@contextlib.contextmanager
def renamed(names: Mapping[str, str]) -> Iterator[None]:
    """Give the argument that an error is about another name.

    Errors of a user's own file keep theirs: they name the file and the line.
    """
    try:
        yield
    except ArgumentError as error:
        if located(error) is not None:
            raise
        raise error.renamed(names) from error
