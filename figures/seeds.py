"""Probability of each regime over starting points."""

import xarray as xr
from matplotlib.figure import Figure

import phasejax as pj

from .recipes import found

TITLE = "Regimes over seeds"
CAPTION = """
Ma, Wu and E (2021) draw one diagram; how much of it is chance? Adam on the digits from six
starting points: the share of runs in each regime, and the entropy of the regime. Away from their
borders the regimes are certain; the starting point matters most at the border of divergence.
"""


def compute() -> xr.Dataset:
    """Load the sweep over seeds."""
    return found("seeds/full.zarr", "seeds_digits.py")


def draw(dataset: xr.Dataset) -> Figure:
    """Draw a panel for every regime, and the entropy."""
    return pj.probability_diagram(dataset)
