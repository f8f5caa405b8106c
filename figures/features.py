"""Three features of the loss curves of adaptive gradient algorithms."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import phasejax as pj

TITLE = "Fast start, small oscillations, spikes"
CAPTION = """
Ma, Wu and E (2021): training with adaptive gradient algorithms shows three features, a **fast
initial convergence**, **small oscillations** and **large spikes**. Here on real data (two
handwritten digits, a relu network 64-16-16-1), with one point per step: the loss falls by two to
three decades within the first hundreds of steps; then it oscillates from step to step; and where
the averages of squared gradients have a long memory, it rises by decades and returns. RMSprop
(above) has ε = 1e-8 inside the root, as in the paper, Adam (below) outside.
"""
STEPS = 20_000
"""Length of a run."""
RMSPROP = ({"a": 100.0, "learning_rate": 1e-3}, {"a": 0.44, "learning_rate": 2.5e-4})
"""Hyper-parameters of RMSprop: a run that oscillates and a run with spikes."""
ADAM = (
    {"a": 10.0, "b": 10.0, "learning_rate": 1e-3},
    {"a": 1.0, "b": 100.0, "learning_rate": 1e-3},
)
"""Hyper-parameters of Adam: a run that oscillates and a run with spikes."""
FIRST = slice(0, 400)
"""Steps of the first column."""
SWING = slice(15_000, 15_060)
"""Steps of the second column."""
Runs = tuple[tuple[xr.Dataset, xr.Dataset], tuple[xr.Dataset, xr.Dataset]]
"""For each optimizer, the run that oscillates and the run with spikes."""


def compute(problem: pj.Problem | None = None) -> Runs:
    """Two runs of each optimizer with all steps: one that oscillates and one with spikes."""
    problem = problem or pj.problems.digits()

    def run(optimizer, hyper, **epsilon) -> xr.Dataset:
        grid = pj.Grid(**{**hyper, **epsilon, "a": [hyper["a"]]})
        return pj.sweep(problem, optimizer, grid, steps=STEPS, windows=STEPS).isel(a=0)

    first, second = (run(pj.rmsprop, hyper, eps=0.0, eps_root=1e-8) for hyper in RMSPROP)
    third, fourth = (run(pj.adam, hyper, eps=1e-8) for hyper in ADAM)
    return (first, second), (third, fourth)


def draw(runs: Runs) -> Figure:
    """Draw a row for each optimizer and a column for each feature."""
    figure = Figure(figsize=(10, 5.4))
    names = ("RMSprop", "Adam")
    for row, name, (calm, wild) in zip(figure.subplots(2, 3), names, runs, strict=True):
        for panel, feature, cell, steps in (
            (row[0], "fast start", calm, FIRST),
            (row[1], "small oscillations", calm, SWING),
            (row[2], "spikes", wild, slice(None)),
        ):
            _draw_steps(panel, cell, steps)
            panel.set_title(f"{name}: {feature}\n{_setting(cell)}")
    return figure


def _draw_steps(panel: Axes, cell: xr.Dataset, steps: slice) -> None:
    shown = cell.isel(window=steps)
    few = shown.sizes["window"] < 100
    marker = "." if few else None
    panel.semilogy(shown["step"], shown["loss_mean"], marker=marker, markersize=3, linewidth=0.8)
    panel.locator_params(axis="x", nbins=4)
    panel.set_xlabel("step")
    panel.set_ylabel("loss")


def _setting(cell: xr.Dataset) -> str:
    fixed = cell.attrs["fixed"]
    b = f", b = {fixed['b']:g}" if fixed.get("b") is not None else ""
    return f"a = {float(cell['a']):g}{b}, η = {fixed['learning_rate']:g}"
