"""Losses to sweep over: functions that return a `Problem`. Those in `BUILT_IN` need no data."""

from .deep_linear import deep_linear as deep_linear
from .digits import digits as digits
from .network import network as network
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
