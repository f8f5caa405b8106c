"""The stability phase diagram of Adam: regimes and periods over δ = 1 − β₁ and γ = 1 − β₂.

`python sweeps/stability.py [NAME ...]` runs the named planes, by default all, and writes
out/stability/NAME.zarr, NAME.png (regimes, with the border of the part without spikes and
divergence) and, for toys, NAME_period.png; it prints power laws of the borders.
On two cores a toy takes about a minute, the others some minutes each. Started again, it resumes;
after another --side or --steps, remove the store first. The planes are those of arXiv 2609.18314:
powers with ε = 0, a quadratic at three learning rates, two handwritten digits with squared loss at
three learning rates and with logistic loss, and four models as people train them.
"""

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

import phasejax as pj
from phasejax.regimes import NAMES
from phasejax.regimes.spikes import SEVERAL

FOLDER = Path("out/stability")
LOW, HIGH = 5e-4, 0.8
"""Range of δ and γ."""
SIDE = 16
"""Values per axis of digits and models."""
SHIFT = 2
"""Cells by which a and b move in the planes of digits at other learning rates."""
WALL = 0.04
"""Least δ of the wall of the quadratic; below it, cells with a period lie at the plane's edge."""
HEIGHTS = (0.1, 0.3, 1.0, 2.0)
"""Least mean heights of spikes over the level around them, in decades."""


class Plane(NamedTuple):
    """One plane: a problem, and how it is run."""

    problem: pj.Problem
    learning_rate: float = 1e-3
    eps: float = 1e-8
    side: int = 40
    steps: int = 100_000
    periods: bool = True


def planes() -> dict[str, Plane]:
    """Return all planes by name."""
    parabola = pj.problems.quadratic((1.0,), (1.0,))
    toys = {
        "power_4": Plane(pj.problems.power(4), eps=0.0),
        "power_6": Plane(pj.problems.power(6), eps=0.0),
        "quadratic_1e-2": Plane(parabola, 1e-2),
        "quadratic_1e-3": Plane(parabola, 1e-3),
        "quadratic_1e-4": Plane(parabola, 1e-4),
    }
    digits = Plane(pj.problems.digits(), side=SIDE, steps=20_000, periods=False)
    faster = (HIGH / LOW) ** (SHIFT / (SIDE - 1))
    return toys | {
        "digits_squared": digits,
        "digits_squared_slow": digits._replace(learning_rate=1e-3 / faster),
        "digits_squared_fast": digits._replace(learning_rate=1e-3 * faster),
        "digits_logistic": digits._replace(problem=pj.problems.digits(loss="logistic")),
        **{
            name: Plane(pj.problems.BUILT_IN[name](), side=SIDE, steps=5_000, periods=False)
            for name in ("modular_addition", "characters", "convnet", "autoencoder")
        },
    }


def run(name: str, plane: Plane) -> xr.Dataset:
    """Run one plane; the period of its spikes is that of the predictor's crossings."""
    decays = pj.log_axis(LOW, HIGH, plane.side)
    grid = pj.Grid(delta=decays, gamma=decays, learning_rate=plane.learning_rate, eps=plane.eps)
    return pj.sweep(
        plane.problem,
        pj.adam_decays,
        grid,
        steps=plane.steps,
        probes=[pj.probes.SpikePredictor(sustained=1)] if plane.periods else (),
        store=FOLDER / f"{name}.zarr",
        resume=True,
    ).load()


def report_border(dataset: xr.Dataset, k: float) -> None:
    """Print how far the border of the cells that converge is from theory, in cells."""
    converged = dataset["regime"].transpose("delta", "gamma").values == NAMES.index("converged")
    delta, gamma = dataset["delta"].values, dataset["gamma"].values
    rows = converged.any(axis=1) & ~converged[:, -1]  # the others do not show their border
    last = np.array([np.flatnonzero(row)[-1] for row in converged[rows]])
    found = np.log(gamma[last] * gamma[last + 1]) / 2
    borders = {
        "steps of any length": pj.theory.power_decay_border(delta[rows], k),
        "small steps": delta[rows] / pj.theory.power_border(1.0, k),
    }
    for name, border in borders.items():
        away = (found - np.log(border)) / np.log(gamma[1] / gamma[0])
        print(f"border minus that of {name}: {away.min():.2f} to {away.max():.2f} cells")


def report_periods(dataset: xr.Dataset, problem: pj.Problem) -> None:
    """Print how many of the cells with a period lie between the published lines."""
    delta, gamma = np.meshgrid(dataset["delta"], dataset["gamma"], indexing="ij")
    inside = gamma < pj.theory.quadratic_wall(delta)
    if problem.name == "power":
        k = problem.config["k"]
        above = gamma > pj.theory.power_decay_border(delta, k) * (1 + 1e-9)  # not on the line
        inside = above & (gamma < pj.theory.power_spike_line(delta, k))
    period = dataset["crossing_period"].transpose("delta", "gamma").values
    known = np.isfinite(period)
    ends = f"{np.nanmin(period):.0f} to {np.nanmax(period):.0f} steps"
    print(f"{np.sum(known & inside)} of {known.sum()} cells with a period ({ends}) are inside")


def report_spikes(dataset: xr.Dataset) -> None:
    """Print the border of the cells that spike, for several least heights of a spike."""
    labelled = dataset["regime"] == NAMES.index("spike")
    bounded = dataset["regime"] != NAMES.index("divergence")
    several = bounded & (dataset["spike_count"] >= SEVERAL)
    parts = {"neither spike nor divergence": bounded & ~labelled, "spike": labelled} | {
        f"spikes of {height} decades": several & (dataset["spike_height"] >= height)
        for height in HEIGHTS
    }
    for name, inside in parts.items():
        print(f"{name}: {int(inside.sum())} cells, {_border_text(inside)}")


def _border_text(inside: xr.DataArray) -> str:
    """Say which power law the border follows."""
    try:
        fit = pj.fit_border(inside, "delta", "gamma")
    except ValueError as error:
        return f"no border ({error})"
    ends = [fit.constant / fit.constant_factor, fit.constant * fit.constant_factor]
    ratios = [fit.ratio / fit.ratio_factor, fit.ratio * fit.ratio_factor]
    return (
        f"gamma = {fit.constant:.3g} ({ends[0]:.2g} to {ends[1]:.2g}) "
        f"delta^{fit.exponent:.2f} (+- {fit.exponent_error:.2f}), "
        f"gamma/delta = {fit.ratio:.2g} ({ratios[0]:.2g} to {ratios[1]:.2g}), {len(fit.x)} points"
    )


def report_coordinates(datasets: list[xr.Dataset]) -> None:
    """Print in how many cells two planes at different rates have one regime, in each coordinate.

    Cells of equal a and b are as many cells from one another as the logarithms of the rates say,
    `SHIFT` at the usual number of values; nothing is printed where that is no whole number. The
    same cells are compared in both coordinates.
    """
    slower, faster = (data["regime"].transpose("delta", "gamma").values for data in datasets)
    rates = [data.attrs["fixed"]["learning_rate"] for data in datasets]
    gamma = datasets[0]["gamma"].values
    distance = np.log(rates[1] / rates[0]) / np.log(gamma[1] / gamma[0])
    shift = round(distance)
    if abs(distance - shift) > 1e-6:
        return
    inner = slice(0, -shift)
    same = slower[inner, inner] == faster[inner, inner]
    moved = slower[inner, inner] == faster[shift:, shift:]
    print(
        f"rates {rates[0]:.3g} and {rates[1]:.3g}: one regime in {same.mean():.1%} of the cells "
        f"of equal delta and gamma, {moved.mean():.1%} of equal a and b"
    )


def report_same(datasets: list[xr.Dataset]) -> None:
    """Print in how many cells of several planes all have a period, or none has one."""
    known = np.stack([np.isfinite(dataset["crossing_period"].values) for dataset in datasets])
    same = (known == known[0]).all(axis=0)
    large = datasets[0]["gamma"].values > 1e-3
    print(
        f"same at all learning rates: {same.mean():.1%}, {same[:, large].mean():.1%} at γ > 0.001"
    )


def report(dataset: xr.Dataset, problem: pj.Problem) -> None:
    """Print regimes, and how the borders lie to theory or which power law they follow."""
    print(pj.summary(dataset))
    if problem.name == "power":
        report_border(dataset, problem.config["k"])
    if problem.name in ("power", "quadratic"):
        report_periods(dataset, problem)
        known = dataset["crossing_period"].notnull()
        print(f"cells with a period: {_border_text(known)}")
        if problem.name == "quadratic":
            wall = known.sel(delta=slice(WALL, None))
            print(f"those of delta > {WALL}: {_border_text(wall)}")
    else:
        report_spikes(dataset)


def draw(name: str, dataset: xr.Dataset) -> None:
    """Draw the regimes, and the periods if they were measured."""
    lines = ["gamma = 3.7 delta", "gamma = delta / 12"]
    if dataset.attrs["problem"] == "quadratic":
        lines = ["gamma = 15.6 delta**3.07"]
    figure = pj.phase_diagram(dataset, lines=lines, safe="gamma")
    figure.savefig(FOLDER / f"{name}.png", dpi=150)
    if "crossing_period" in dataset:
        figure = pj.variable_map(dataset, "crossing_period", lines=lines)
        figure.savefig(FOLDER / f"{name}_period.png", dpi=150)


def main() -> None:
    """Run the planes named on the command line."""
    known = planes()
    parser = argparse.ArgumentParser(description="Regimes of Adam over 1 - beta1 and 1 - beta2.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--side", type=int, help="values per axis; 40 for toys, 16 for others")
    parser.add_argument(
        "--steps",
        type=int,
        help="steps per cell; 100000 for toys, 20000 for digits, 5000 for models",
    )
    given = parser.parse_args()
    if unknown := set(given.names) - set(known):
        parser.error(f"NAME = {sorted(unknown)}: must be among {', '.join(known)}")
    pj.use_all_cores()
    pj.use_compilation_cache()
    changed = {key: value for key in ("side", "steps") if (value := getattr(given, key))}
    datasets = {}
    for name in given.names or known:
        plane = known[name]._replace(**changed)
        datasets[name] = run(name, plane)
        report(datasets[name], plane.problem)
        draw(name, datasets[name])
    quadratics = [data for name, data in datasets.items() if name.startswith("quadratic")]
    if len(quadratics) > 1:
        report_same(quadratics)
    rates = [f"digits_squared{speed}" for speed in ("_slow", "", "_fast")]
    for pair in itertools.pairwise(rates):
        if all(name in datasets for name in pair):
            report_coordinates([datasets[name] for name in pair])


if __name__ == "__main__":
    main()
