"""From steps to flows: the distance falls with η, and flows lack the regimes due to the step."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

import phasejax as pj
from figures import flow_and_adam
from phasejax import theory
from phasejax.regimes import NAMES

TIMES = np.linspace(0.2, 2.0, 10)


def distances(flow, optimizer, etas, problem):
    """Largest |x_k − x(kη)| over the times, for each η; ε is 0.1 for both."""
    path = pj.trajectory(problem, flow[0], times=TIMES, **flow[1])
    found = []
    for eta in etas:
        steps = np.round(TIMES / eta).astype(int)
        own = pj.trajectory(problem, pj.adam, steps=steps, learning_rate=eta, **optimizer(eta))
        found.append(np.linalg.norm(own - path, axis=1).max())
    return np.array(found)


@pytest.mark.parametrize(("a", "b"), [(5.0, 20.0), (30.0, 3.0)])
def test_adam_approaches_its_flow_in_proportion_to_the_step(a, b):
    """Over two decades of η, at ε = 0.1 inside the root, to time 2."""
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    epsilon = {"eps": 0.0, "eps_root": 0.1}
    etas = np.array([1e-2, 4e-3, 1e-3, 4e-4, 1e-4])  # all divide the times
    flow = pj.adam_flow, {"a": a, "b": b, **epsilon}
    found = distances(flow, lambda eta: {"a": a, "b": b, **epsilon}, etas, problem)
    slope, _ = np.polyfit(np.log(etas), np.log(found), 1)
    assert slope == pytest.approx(1, abs=0.1)
    assert np.diff(np.log(found)) == pytest.approx(np.diff(np.log(etas)), rel=0.1)


def test_adam_with_fixed_decays_approaches_the_signgd_flow_in_proportion_to_the_step():
    """α = 0.9 and β = 0.5, so that a and b grow like 1/η: slope 1 from η = 1e-3 to 1e-5."""
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    etas = np.array([1e-3, 4e-4, 1e-4, 4e-5, 1e-5])
    flow = pj.signgd_flow, {"eps": 0.1}
    decays = lambda eta: {"a": 0.1 / eta, "b": 0.5 / eta, "eps": 0.1}  # noqa: E731
    slope, _ = np.polyfit(np.log(etas), np.log(distances(flow, decays, etas, problem)), 1)
    assert slope == pytest.approx(1, abs=0.05)


@pytest.fixture(scope="module")
def both():
    """The flow and Adam with η = 1/300 to the same time, on the same cells."""
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    axes = {"a": pj.log_axis(3, 100, 6), "b": pj.log_axis(8, 200, 8)}
    epsilon = {"eps": 0.0, "eps_root": 1e-8}
    flow = pj.sweep(problem, pj.adam_flow, pj.Grid(**axes, **epsilon), time=20.0)
    grid = pj.Grid(**axes, learning_rate=1 / 300, **epsilon)
    return flow, pj.sweep(problem, pj.adam, grid, steps=6_000)


def test_the_flow_neither_spikes_nor_oscillates_where_adam_does(both):
    """Above theory's line every cell of Adam spikes or oscillates; all cells of the flow rest."""
    flow, adam = both
    border = theory.adam_border(1.0, 1 / 300, 1e-8)
    above = (adam.b > 1.1 * border).broadcast_like(adam.regime).values & (adam.a.values < 50)[
        :, None
    ]
    restless = np.isin(adam.regime.values, [NAMES.index("spike"), NAMES.index("oscillation")])
    assert above.sum() >= 12
    assert restless[above].all()
    fast = (flow.a.values < 0.8 * flow.b.values[:, None]).T
    assert (flow.regime.values[fast] == NAMES.index("converged")).all()
    assert above[fast].any()
    calm = (adam.b < 0.9 * border).broadcast_like(adam.regime).values & fast
    common = pj.classify(adam, flow.loss_floor.assign_coords(a=adam.a, b=adam.b))
    assert calm.sum() >= 4
    assert (common.regime.values[calm] == NAMES.index("converged")).all()


def test_the_comparison_shows_where_they_differ(both):
    flow, adam = (d.assign_attrs(problem_builtin="quadratic") for d in both)
    figure = flow_and_adam.draw((flow, adam))
    common = pj.classify(adam, flow.loss_floor.assign_coords(a=adam.a, b=adam.b))
    differ = int((flow.regime.values != common.regime.values).sum())
    assert 0 < differ < flow.regime.size
    titles = [panel.get_title() for panel in figure.axes]
    assert titles[2].startswith(f"where they differ: {differ} of {flow.regime.size} cells")
    assert "rate of v" in figure.axes[0].get_xlabel()
    assert "v-decay" in figure.axes[1].get_xlabel()
    legend: Any = figure.axes[2].get_legend()
    same, *shown = [int(text.get_text().split()[-1]) for text in legend.get_texts()]
    assert (same, sum(shown)) == (flow.regime.size - differ, differ)
    names = [[line.get_label() for line in panel.lines] for panel in figure.axes]
    assert "theory: b = 34" not in names[0]  # the flow has no such line
    assert "theory: b = 34" in names[1]
    other = adam.assign_coords(a=xr.DataArray(adam.a.values * 2, dims="a"))
    with pytest.raises(ValueError, match="other = 'a': must be an axis with the same values"):
        pj.comparison(flow, other)
