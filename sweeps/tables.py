"""Tables of Markdown, which the recipes that compare labels print."""

from collections.abc import Iterable


def row(fields: Iterable[object]) -> str:
    """Return one row of a table."""
    return f"| {' | '.join(map(str, fields))} |"


def table(head: list[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table with a head."""
    return "\n".join([row(head), row(["---"] * len(head)), *map(row, rows)])
