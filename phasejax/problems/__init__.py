"""Losses to sweep over: functions that return a `Problem`.

The command line and stores name those in `BUILT_IN`; `cifar10` needs a folder of data.
"""

from .autoencoder import autoencoder as autoencoder
from .characters import characters as characters
from .cifar10 import cifar10 as cifar10
from .convnet import convnet as convnet
from .deep_linear import deep_linear as deep_linear
from .digits import digits as digits
from .losses import cross_entropy as cross_entropy
from .losses import logistic as logistic
from .losses import mse as mse
from .model import model as model
from .modular_addition import modular_addition as modular_addition
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
    "modular_addition": modular_addition,
    "convnet": convnet,
    "autoencoder": autoencoder,
    "characters": characters,
}
