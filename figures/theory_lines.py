"""Phase diagrams of problems whose borders are known from theory."""

import xarray as xr
from matplotlib.figure import Figure

import phasejax as pj
from phasejax.plot.panel import decorate, draw_legend, draw_regimes
from phasejax.plot.titles import settings, wrap

TITLE = "Borders that theory predicts"
CAPTION = """
Ma, Wu and E (2021) observe the regimes; on simple problems their borders can be computed. On a
quadratic Adam can come to rest only while its preconditioned curvature is below (2/η)(1 + β)/(1
− β) (arXiv 2207.14484), here up to b = 34; above that line it oscillates and spikes (ε = 1e-8
inside the root, η = 1/300). On |x|ᵏ/k with ε = 0 the loss falls without end above b = ak/(2(k −
2)), and bursts below it (cf. arXiv 2603.09581): b = a for k = 4, b = 0.75a for k = 6. In green
(converged) cells the loss has come to zero: it is below 1e-307, the smallest numbers of float64,
and in most cells exactly zero, because the iterate is so small that its power underflows. Above
b = 34 that happens only at small a, while v still remembers larger gradients. Two edges of the
left plane are special. At a = 1/η = 300 α is exactly 0, so v is only the last squared gradient.
At b = 300 β is 0, and unless a is small the iterates jump from side to side at a constant loss,
an oscillation.
"""


def compute(count: int = 48) -> list[xr.Dataset]:
    """Sweep a quadratic and two powers."""
    axis = pj.log_axis(0.3, 300, count)
    rest = pj.sweep(
        pj.problems.quadratic((1.0, 0.1), (1.0, 1.0)),
        pj.adam,
        pj.Grid(a=axis, b=axis, learning_rate=1 / 300, eps=0.0, eps_root=1e-8),
        steps=20_000,
    )
    axis = pj.log_axis(1, 30, count)
    powers = [
        pj.sweep(
            pj.problems.power(k),
            pj.adam,
            pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=0.0),
            steps=60_000,
        )
        for k in (4, 6)
    ]
    return [rest, *powers]


def draw(datasets: list[xr.Dataset]) -> Figure:
    """Draw a panel for each problem, with the line from theory."""
    figure = Figure(figsize=(13, 5.4))
    for panel, dataset in zip(figure.subplots(1, 3), datasets, strict=True):
        draw_regimes(panel, dataset, "a", "b")
        draw_legend(panel, dataset, columns=2)
        decorate(panel, dataset, "a", "b")
        k = dataset.attrs["problem_arguments"].get("k")
        problem = "Adam on a quadratic" if k is None else f"Adam on |x|ᵏ/k, k = {k}"
        panel.set_title(f"{problem}\n{wrap(settings(dataset), 13 / 3 - 0.3)}")
    return figure
