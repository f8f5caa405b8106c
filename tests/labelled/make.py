"""Compute the curves of the labelled set: `python tests/labelled/make.py` writes curves.npz.

The set has eighteen problems of twenty cells each. A person labelled every curve in labels.csv from
the sheets that sheets.py draws. Thresholds of the rule were set on the problems marked `set` below,
and tested on those marked `judge` and `fresh`. The fresh ones, with many spikes, were run and
labelled after the last change of the rule.
"""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets

import phasejax as pj

HERE = Path(__file__).parent
WINDOWS = 256


def scaled(load, classes=None, samples=128):
    """Inputs of mean 0 and deviation 1; targets ±1 for two classes, otherwise of deviation 1."""
    data: Any = load()
    inputs, targets = data.data, data.target.astype(float)
    if classes is not None:
        chosen = np.isin(data.target, classes)
        inputs, targets = inputs[chosen], np.where(data.target[chosen] == classes[0], -1.0, 1.0)
    else:
        targets = (targets - targets.mean()) / targets.std()
    order = np.random.default_rng(0).permutation(len(inputs))[:samples]
    inputs, targets = inputs[order], targets[order]
    deviation = inputs.std(0)
    return (inputs - inputs.mean(0)) / np.where(deviation > 0, deviation, 1), targets


def plane(shift=1.0, **fixed):
    """Five values of a and four of b."""
    return pj.Grid(
        a=np.geomspace(0.4, 220, 5) * shift, b=np.geomspace(0.6, 200, 4) / shift, **fixed
    )


def bursts(**fixed):
    """Five values of a and four of b, mostly with b ≫ a."""
    return pj.Grid(a=np.geomspace(0.35, 8, 5), b=np.geomspace(12, 350, 4), **fixed)


def rmsprop_plane(**fixed):
    """Five values of a and four learning rates."""
    return pj.Grid(a=np.geomspace(0.4, 90, 5), learning_rate=np.geomspace(3e-4, 1e-2, 4), **fixed)


P = pj.problems
network = functools.partial(P.network, hidden=(16, 16))
wine = functools.partial(scaled, datasets.load_wine, (0, 1))
cancer = functools.partial(scaled, datasets.load_breast_cancer, (0, 1))
iris = functools.partial(scaled, datasets.load_iris, (1, 2))
diabetes = functools.partial(scaled, datasets.load_diabetes)

PROBLEMS = {
    # name: (part, problem, dynamics, grid, steps)
    "digits 01 relu": ("set", P.digits(), pj.adam, plane(seed=1), 20_000),
    "digits 38 tanh": (
        "judge",
        P.digits((3, 8), activation="tanh"),
        pj.adam,
        plane(1.3),
        20_000,
    ),
    "digits 49 gelu logistic": (
        "set",
        P.digits((4, 9), activation="gelu", loss="logistic"),
        pj.adam,
        plane(0.9),
        10_000,
    ),
    "digits 17 relu RMSprop": ("judge", P.digits((1, 7)), pj.rmsprop, rmsprop_plane(), 20_000),
    "diabetes relu": ("judge", network(*diabetes()), pj.adam, plane(1.2), 10_000),
    "diabetes tanh slow": (
        "set",
        network(*diabetes(), activation="tanh"),
        pj.adam,
        plane(1.5, learning_rate=3e-4, eps=1e-6),
        30_000,
    ),
    "cancer relu logistic": (
        "set",
        network(*cancer(), loss="logistic"),
        pj.adam,
        plane(0.8),
        10_000,
    ),
    "wine gelu fast": (
        "judge",
        network(*wine(), activation="gelu"),
        pj.adam,
        plane(0.75, learning_rate=3e-3, eps=1e-10),
        10_000,
    ),
    "iris tanh logistic": (
        "judge",
        network(*iris(), activation="tanh", loss="logistic"),
        pj.adam,
        plane(1.1, eps=0.0, eps_root=1e-8),
        20_000,
    ),
    "iris relu RMSprop": ("set", network(*iris()), pj.rmsprop, rmsprop_plane(eps=1e-6), 20_000),
    "quadratic": (
        "set",
        P.quadratic((1.0, 0.1, 0.01), (1.0, 1.0, 1.0)),
        pj.adam,
        plane(1.0),
        20_000,
    ),
    "rosenbrock": ("judge", P.rosenbrock(), pj.adam, plane(1.25), 30_000),
    "power 4": ("judge", P.power(4), pj.adam, plane(0.9, eps=0.0), 40_000),
    "power 6": ("set", P.power(6), pj.adam, plane(1.1, eps=1e-12), 40_000),
    "deep linear": ("judge", P.deep_linear(), pj.adam, plane(1.0), 20_000),
    "digits 25 relu bursts": ("fresh", P.digits((2, 5)), pj.adam, bursts(), 20_000),
    "wine tanh bursts": (
        "fresh",
        network(*wine(), hidden=(24,), activation="tanh"),
        pj.adam,
        bursts(),
        20_000,
    ),
    "cancer gelu": (
        "fresh",
        network(*cancer(), activation="gelu"),
        pj.adam,
        plane(0.85, seed=2),
        20_000,
    ),
}


def main() -> None:
    """Run all problems; store log10 of minimum, maximum, mean, and the mean of log10 (float32)."""
    curves, about = [], []
    pj.use_all_cores()
    pj.use_compilation_cache()
    for name, (part, problem, dynamics, grid, steps) in PROBLEMS.items():
        dataset = pj.sweep(problem, dynamics, grid, steps=steps, windows=WINDOWS)
        axes = [dim for dim in dataset["regime"].dims]
        cells = dataset.stack(cell=axes)
        with np.errstate(divide="ignore"):
            fields = [np.log10(cells[f].T) for f in ("loss_min", "loss_max", "loss_mean")]
        curves.append(np.stack([*fields, cells["log10_loss_mean"].T], 1).astype(np.float32))
        start = float(np.log10(dataset["initial_loss"]))
        about += [
            {"problem": name, "part": part, "steps": steps, "initial": start}
            | {"optimizer": dynamics.__name__, **dataset.attrs["fixed"]}
            | {axis: float(cells[axis][i]) for axis in axes}
            for i in range(cells.sizes["cell"])
        ]
    np.savez_compressed(
        HERE / "curves.npz", curves=np.concatenate(curves), about=np.array(json.dumps(about))
    )
    print(f"{len(about)} curves")


if __name__ == "__main__":
    main()
