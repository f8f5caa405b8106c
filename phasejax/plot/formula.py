"""Formulas of lines, such as "b = 12 a", as functions."""

import ast
import operator
import re
from collections.abc import Callable

import numpy as np

from .._check import bad

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
"""The operators that a formula may contain."""
NUMBER = r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
"""A number that is not part of a name."""
PRODUCT = re.compile(rf"({NUMBER}|\))\s*(?=[^\W\d]|\()")
"""A number or a closing bracket before a name or an opening bracket: a product without a sign."""


def read_line(text: str, x: str, y: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """Read "b = 12 a"; returns the axis on the right, and the other axis as a function of it.

    **Arguments:**

    - `text`: one of the axes, an equals sign, and a formula of the other axis with numbers,
        `+ - * / **` (or `^`), brackets, and products without a sign as in `12 a`.
    - `x`, `y`: names of the axes.

    Raises a `ValueError` for any other text.
    """
    left, equals, right = (part.strip() for part in text.partition("="))
    if not equals or left not in (x, y):
        allowed = f"{y} = a formula of {x}, or {x} = a formula of {y}, such as '{y} = {x}'"
        raise bad("line", text, allowed)
    variable = x if left == y else y
    try:
        tree = ast.parse(PRODUCT.sub(r"\1*", right.replace("^", "**")), mode="eval").body
        evaluate = _function(tree, variable)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        allowed = f"{left} = a formula of {variable}: numbers, + - * / ** and brackets"
        raise bad("line", text, f"{allowed}, such as '{left} = 12 {variable}'") from error
    return variable, evaluate


def _function(tree: ast.expr, variable: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the formula as a function; raises a `ValueError` for other expressions."""

    def value(node: ast.expr, at: np.ndarray) -> np.ndarray:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return np.full(at.shape, float(number))
            case ast.Name(id=name) if name == variable:
                return at
            case ast.UnaryOp(op=sign) if type(sign) in OPERATORS:
                return OPERATORS[type(sign)](value(node.operand, at))
            case ast.BinOp(op=sign) if type(sign) in OPERATORS:
                return OPERATORS[type(sign)](value(node.left, at), value(node.right, at))
        raise ValueError(ast.dump(node))

    def evaluate(at: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):  # values that are not finite are not drawn
            return np.asarray(value(tree, at), float)

    evaluate(np.ones(1))
    return evaluate
