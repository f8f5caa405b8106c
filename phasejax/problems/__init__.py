"""Losses to sweep over. A built-in is a function of its parameters that returns a `Problem`."""

from .deep_linear import deep_linear as deep_linear
from .digits import digits as digits
from .power import power as power
from .problem import Problem as Problem
from .quadratic import quadratic as quadratic
from .rosenbrock import rosenbrock as rosenbrock

BUILT_IN = {
    "digits": digits,
    "quadratic": quadratic,
    "power": power,
    "rosenbrock": rosenbrock,
    "deep_linear": deep_linear,
}
