"""The distribution of the regimes on the plane of a and b, and the late loss."""

from typing import NamedTuple

import jax
import jax.flatten_util
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import phasejax as pj
from phasejax.plot.marks import PAPER_CELLS
from phasejax.plot.panel import decorate, draw_late_loss, draw_legend, draw_regimes
from phasejax.results.axes import cell_edges

from .recipes import found

TITLE = "The distribution of the regimes"
CAPTION = """
Ma, Wu and E (2021) show how the three regimes lie on the plane of a and b: spikes above the
diagonal, divergence below it, oscillations between. Left, two handwritten digits with Adam, 65 ×
65 cells of 20,000 steps, computed along the borders and inferred elsewhere (pale); circles are
the paper's three cells. For a of 10 and more the border of spikes approaches b = 12a, where
single runs burst once and then settle; at smaller a, spikes begin above this line. Right, the
late loss of 24 × 24 cells, with the border from the left: it is smallest where spikes border on
runs that still descend, and changes smoothly within the oscillation regime. Both panels show the
range that both sweeps cover. Theory (`phasejax.theory.adam_border`, with the curvature that Adam
reaches at a = b = 10) says that Adam can come to rest only at a b far below this plane.
Accordingly, no cell converged.
"""
LINES = {"b = 12 a": lambda a: 12 * a}
"""The line that the border of spikes approaches."""


class Sweeps(NamedTuple):
    """Data of the figure: a refined sweep, a dense one, and the b above which no cell can rest."""

    refined: xr.Dataset
    dense: xr.Dataset
    rest: float


def compute() -> Sweeps:
    """Load the refined and the main sweep, and compute the border of rest."""
    refined = found("refined_digits/65.zarr", "refined_digits.py", "65")
    dense = found("digits/sweep.zarr", "digits.py")
    return Sweeps(refined, dense, rest_border(pj.problems.digits(), 20_000))


def rest_border(problem: pj.Problem, steps: int) -> float:
    """Largest b for which Adam is stable at the point that it reaches after `steps` at a = b = 10.

    `phasejax.theory.adam_border`, with the largest eigenvalue of the Hessian at this point.
    """
    end = pj.trajectory(problem, pj.adam, steps=[steps], a=10.0, b=10.0, learning_rate=1e-3)
    with jax.enable_x64(True):
        params, unravel = jax.flatten_util.ravel_pytree(jax.tree.map(lambda x: x[-1], end))
        hessian = jax.hessian(lambda flat: problem.loss(unravel(flat)))(params)
    curvature = float(np.linalg.eigvalsh(np.asarray(hessian))[-1])
    return float(pj.theory.adam_border(curvature, 1e-3, eps_root=0.0, eps=1e-8))


def draw(sweeps: Sweeps) -> Figure:
    """Draw the regimes on the left, and the late loss with the refined border on the right."""
    dense, rest = sweeps.dense, sweeps.rest
    refined = _cropped(sweeps.refined, dense)
    figure = Figure(figsize=(11.5, 5.2))
    left, right = figure.subplots(1, 2)
    draw_regimes(left, refined, "a", "b")
    draw_legend(left, refined)
    decorate(left, refined, "a", "b", PAPER_CELLS, LINES)
    counts = (refined["status"] == 1).sum().item(), refined["status"].size
    left.set_title("regimes: {:,} of {:,} cells computed".format(*counts))
    draw_late_loss(figure, right, dense, "a", "b")
    right.add_collection(
        LineCollection(list(border_segments(refined, "a", "b")), colors="white", linewidths=1.2)
    )
    decorate(right, dense, "a", "b", PAPER_CELLS)
    right.set_title(
        f"late loss, and the border\ntheory: rest only where b < {rest:.1g}, not on this plane"
    )
    for get, show in ((Axes.get_xlim, Axes.set_xlim), (Axes.get_ylim, Axes.set_ylim)):
        lows, highs = zip(get(left), get(right), strict=True)
        for panel in (left, right):
            show(panel, max(lows), min(highs))
    return figure


def _cropped(dataset: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """Return the cells whose values lie on the plane of another sweep."""
    for name in ("a", "b"):
        low, high = cell_edges(other, name)[[0, -1]]
        dataset = dataset.isel({name: (dataset[name] > low) & (dataset[name] < high)})
    return dataset


def border_segments(dataset: xr.Dataset, x: str, y: str) -> np.ndarray:
    """Return the sides between adjacent cells of different regimes, `[side, end, (x, y)]`."""
    codes = dataset["regime"].transpose(x, y).values
    across, up = cell_edges(dataset, x), cell_edges(dataset, y)
    i, j = np.nonzero(codes[1:] != codes[:-1])
    upright = np.stack([[across[i + 1], up[j]], [across[i + 1], up[j + 1]]])
    k, m = np.nonzero(codes[:, 1:] != codes[:, :-1])
    level = np.stack([[across[k], up[m + 1]], [across[k + 1], up[m + 1]]])
    return np.concatenate([upright, level], axis=2).transpose(2, 0, 1)
