"""Share of a diagram that refinement computes, and share of the labels that are right.

`python -m benchmarks.refinement` prints JSON for each toy problem on 257 × 257 cells: the share of
labels of a refinement from 17 × 17 cells that are equal to those of the dense diagram, the share of
computed cells, and the number of rounds. The refinement gets labels and margins from the dense
sweep; they are the same bits that it would compute.
"""

import json

COUNT = 257
"""Values per axis after refinement."""
START = 17
"""Values per axis before refinement."""


def refined(labels, margin) -> dict[str, float]:
    """Refine a diagram whose labels `[x, y]` and margins `[x, y]` are known."""
    from phasejax.engine.refinement import Refinement

    refinement = Refinement(labels.shape, {0: START, 1: START})
    rounds = 0
    while (cells := refinement.ask()).size:
        refinement.tell(cells, labels.flat[cells], margin.flat[cells])
        rounds += 1
    return {
        "equal": float((refinement.labels == labels).mean()),
        "computed": float(refinement.asked.mean()),
        "rounds": rounds,
    }


def measure() -> dict[str, dict[str, float]]:
    """Measure all toy problems."""
    import phasejax as pj

    pj.use_all_cores()
    axis = pj.log_axis(0.3, 300, COUNT)
    plane = {"a": axis, "b": axis, "learning_rate": 1e-3}
    quadratic = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    rates = pj.Grid(a=pj.log_axis(0.3, 100, COUNT), learning_rate=pj.log_axis(1e-5, 1e-2, COUNT))
    cases = {
        "Adam, quadratic, 5,000 steps": (quadratic, pj.adam, pj.Grid(**plane), 5_000),
        "Adam, quadratic, 20,000 steps": (quadratic, pj.adam, pj.Grid(**plane), 20_000),
        "Adam, quadratic, 50,000 steps": (quadratic, pj.adam, pj.Grid(**plane), 50_000),
        "RMSprop, quadratic, 20,000 steps": (quadratic, pj.rmsprop, rates, 20_000),
        "Adam, x^4/4, 60,000 steps": (
            pj.problems.power(4),
            pj.adam,
            pj.Grid(**plane, eps=0.0),
            60_000,
        ),
        "Adam, Rosenbrock, 20,000 steps": (
            pj.problems.rosenbrock(),
            pj.adam,
            pj.Grid(**plane),
            20_000,
        ),
        "Adam, deep linear, 20,000 steps": (
            pj.problems.deep_linear(),
            pj.adam,
            pj.Grid(**plane),
            20_000,
        ),
    }
    result = {}
    for name, (problem, dynamics, grid, steps) in cases.items():
        dataset = pj.sweep(problem, dynamics, grid, steps=steps)
        result[name] = refined(dataset["regime"].values, dataset["margin"].values)
    return result


if __name__ == "__main__":
    print(json.dumps(measure()))
