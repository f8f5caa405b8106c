"""Losses to sweep over: functions that return a `Problem`.

The command line and stores name those in `BUILT_IN`; `cifar10` needs a folder of data.
"""

from .cifar10 import cifar10 as cifar10
from .deep_linear import deep_linear as deep_linear
from .digits import digits as digits
from .model import model as model
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
    "cifar10": cifar10,
}
