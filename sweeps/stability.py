"""The stability phase diagram of Adam: regimes and periods over δ = 1 − β₁ and γ = 1 − β₂.

`python sweeps/stability.py [NAME ...]` runs the named planes, by default all, and writes
out/stability/NAME.zarr, NAME.png (regimes) and, for toys and digits at a rate of 0.001,
NAME_period.png. On two cores a toy takes about a minute, the others some minutes each. Started again, it resumes; after another --side or --steps, remove the
store first. The planes are those of arXiv 2609.18314: powers with ε = 0, a quadratic at three
learning rates, two handwritten digits with squared loss at three learning rates and with logistic
loss, and four models as people train them.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

import phasejax as pj
from phasejax.regimes import NAMES

FOLDER = Path("out/stability")
LOW, HIGH = 5e-4, 0.8
"""Range of δ and γ."""
SIDE = 16
"""Values per axis of digits and models."""
SHIFT = 2
"""Cells by which a and b move in the planes of digits at other learning rates."""


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
    digits = Plane(pj.problems.digits(), side=SIDE, steps=20_000)
    faster = (HIGH / LOW) ** (SHIFT / (SIDE - 1))
    return toys | {
        "digits_squared": digits,
        "digits_squared_slow": digits._replace(learning_rate=1e-3 / faster, periods=False),
        "digits_squared_fast": digits._replace(learning_rate=1e-3 * faster, periods=False),
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


def report_same(datasets: list[xr.Dataset]) -> None:
    """Print in how many cells of several planes all have a period, or none has one."""
    known = np.stack([np.isfinite(dataset["crossing_period"].values) for dataset in datasets])
    same = (known == known[0]).all(axis=0)
    large = datasets[0]["gamma"].values > 1e-3
    print(
        f"same at all learning rates: {same.mean():.1%}, {same[:, large].mean():.1%} at γ > 0.001"
    )


def main() -> None:
    """Run the planes named on the command line."""
    known = planes()
    parser = argparse.ArgumentParser(description="Regimes of Adam over 1 - beta1 and 1 - beta2.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--side", type=int, help="values per axis; 40 for toys, 16 for digits")
    parser.add_argument("--steps", type=int, help="steps per cell; 100000, or 20000 for digits")
    given = parser.parse_args()
    if unknown := set(given.names) - set(known):
        parser.error(f"NAME = {sorted(unknown)}: must be among {', '.join(known)}")
    pj.use_all_cores()
    pj.use_compilation_cache()
    changed = {key: value for key in ("side", "steps") if (value := getattr(given, key))}
    quadratics = []
    for name in given.names or known:
        plane = known[name]._replace(**changed)
        dataset = run(name, plane)
        print(pj.summary(dataset))
        if plane.problem.name == "power":
            report_border(dataset, plane.problem.config["k"])
        if plane.problem.name in ("power", "quadratic"):
            report_periods(dataset, plane.problem)
        if plane.problem.name == "quadratic":
            quadratics.append(dataset)
        lines = ["gamma = 3.7 delta", "gamma = delta / 12", "gamma = 15.6 delta**3.07"]
        figure = pj.phase_diagram(dataset, lines=lines)
        figure.savefig(FOLDER / f"{name}.png", dpi=150)
        figure = pj.variable_map(dataset, "crossing_period", lines=lines)
        figure.savefig(FOLDER / f"{name}_period.png", dpi=150)
    if len(quadratics) > 1:
        report_same(quadratics)


if __name__ == "__main__":
    main()
