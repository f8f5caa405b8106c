"""Four statements of Ma, Wu and E (2021) beside runs: writes figures/theory.png (half a minute).

The bound of the signGD flow, RMSprop's 2-cycle, the linearization of RMSprop's flow, and the
distance between steps and flows.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import phasejax as pj
from phasejax import theory

OKABE_ITO = {"blue": "#0072B2", "orange": "#D55E00", "green": "#009E73", "black": "#000000"}


def bound(panel: Axes) -> None:
    """Loss of the signGD flow and of Adam on a quadratic, under the bound."""
    problem = pj.problems.quadratic((1.0, 0.3), (1.0, 0.6))
    times = np.linspace(0, 1.3, 131)
    flow = pj.trajectory(problem, pj.signgd_flow, times=times)
    steps = np.arange(131) * 10
    adam = pj.trajectory(problem, pj.adam, steps=steps, a=100.0, b=500.0, learning_rate=1e-3)
    loss = [0.5 * (path**2 @ [1.0, 0.3]) for path in (flow, adam)]
    panel.plot(times, theory.signgd_bound(loss[0][0], 0.6, times), "--", color=OKABE_ITO["black"])
    panel.plot(times, loss[0], color=OKABE_ITO["blue"])
    panel.plot(steps * 1e-3, loss[1], ":", color=OKABE_ITO["orange"], linewidth=2)
    extinction = theory.signgd_extinction_time(loss[0][0], 0.6)
    panel.set_title("Fast start: the signGD flow and its PL bound", fontsize=10)
    panel.set_xlabel("time $t$, and $k\\eta$")
    panel.set_ylabel("loss")
    names = [
        f"$(\\sqrt{{f_0}} - \\sqrt{{\\mu}}\\,t/2)^2$, zero at {extinction:.2f}",
        "signGD flow",
        "Adam, $\\alpha=0.9$, $\\beta=0.5$, $\\eta=10^{-3}$",
    ]
    panel.legend(names, frameon=False, fontsize=9)


def cycle(panel: Axes) -> None:
    """RMSprop on x²/2: distance to the 2-cycle, and the rate of its Jacobian."""
    eta, colours = 1e-3, (OKABE_ITO["blue"], OKABE_ITO["green"], OKABE_ITO["orange"])
    problem = pj.problems.power(2, (0.7,))
    steps = np.arange(0, 4000, 5)
    for alpha, colour in zip((0.5, 0.9, 0.98), colours, strict=True):
        path = pj.trajectory(
            problem, pj.rmsprop, steps=steps, a=(1 - alpha) / eta, learning_rate=eta, eps=0.0
        )[:, 0]
        distance = np.abs(np.abs(path) / (eta / 2) - 1)
        panel.semilogy(
            steps, np.maximum(distance, 1e-17), color=colour, label=f"$\\alpha$ = {alpha}"
        )
        first = np.flatnonzero(distance > 0.1)[-1] + 1
        rate = np.abs(theory.rmsprop_cycle_multipliers(alpha)).max() ** 0.5
        expected = distance[first] * rate ** (steps - steps[first])
        shown = (steps >= steps[first]) & (expected > 1e-16)
        panel.semilogy(steps[shown], expected[shown], "--", color=OKABE_ITO["black"], linewidth=1)
    panel.plot(
        [], [], "--", color=OKABE_ITO["black"], linewidth=1, label="$\\alpha^{k/2}$, by theory"
    )
    panel.set_ylim(1e-17, 1e4)
    panel.set_title("Small oscillations: RMSprop ends on $x = \\pm\\eta/2$", fontsize=10)
    panel.set_xlabel("step $k$")
    panel.set_ylabel("$|\\,|x_k| / (\\eta/2) - 1\\,|$")
    panel.legend(frameon=False, fontsize=9, loc="upper right")


def linearization(panel: Axes) -> None:
    """RMSprop's flow near the minimum beside its linearization, whose rate is λ/ε."""
    eps, a, curvature = 0.1, 2.0, 0.3
    times = np.linspace(0, 8, 161)
    problem = pj.problems.quadratic((curvature,), (1.0,))
    path = pj.trajectory(problem, pj.rmsprop_flow, times=times, a=a, eps=eps)[:, 0]
    rates = np.diag(theory.rmsprop_flow_jacobian(np.array([[curvature]]), a, eps))
    linear = path[-1] * np.exp(rates[0] * (times - times[-1]))
    panel.semilogy(times, path, color=OKABE_ITO["blue"], label="RMSprop's flow, $|x|$")
    panel.semilogy(
        times,
        linear,
        "--",
        color=OKABE_ITO["black"],
        label="linearized: $e^{-\\lambda t/\\epsilon}$",
    )
    panel.set_ylim(1e-9, 1e2)
    panel.set_title(
        f"Linearization: $\\lambda$ = {curvature}, $\\epsilon$ = {eps} (outside), $a$ = {a:g}",
        fontsize=10,
    )
    panel.set_xlabel("time $t$")
    panel.set_ylabel("$|x|$")
    panel.legend(frameon=False, fontsize=9)


def bridges(panel: Axes) -> None:
    """Largest distance between steps and flow, against the step."""
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    times = np.linspace(0.2, 2.0, 10)
    etas = np.array([1e-2, 4e-3, 1e-3, 4e-4, 1e-4])
    root = {"eps": 0.0, "eps_root": 0.1}
    cases = {
        "Adam and its flow, $a$ = 5, $b$ = 20": (
            pj.trajectory(problem, pj.adam_flow, times=times, a=5.0, b=20.0, **root),
            lambda eta: {"a": 5.0, "b": 20.0, **root},
            "o",
            OKABE_ITO["blue"],
        ),
        "Adam and the signGD flow, $\\alpha$ = 0.9, $\\beta$ = 0.5": (
            pj.trajectory(problem, pj.signgd_flow, times=times, eps=0.1),
            lambda eta: {"a": 0.1 / eta, "b": 0.5 / eta, "eps": 0.1},
            "s",
            OKABE_ITO["orange"],
        ),
    }
    for name, (path, hyper, marker, colour) in cases.items():
        distance = []
        for eta in etas:
            steps = np.round(times / eta).astype(int)
            own = pj.trajectory(problem, pj.adam, steps=steps, learning_rate=eta, **hyper(eta))
            distance.append(np.linalg.norm(own - path, axis=1).max())
        panel.loglog(etas, distance, marker, color=colour, label=name)
        line = distance[-1] * etas / etas[-1]
        panel.loglog(etas, line, "--", color=OKABE_ITO["black"], linewidth=1)
    panel.plot([], [], "--", color=OKABE_ITO["black"], linewidth=1, label="slope one")
    panel.set_title("Steps and flows, $t \\leq 2$, $\\epsilon$ = 0.1", fontsize=10)
    panel.set_xlabel("learning rate $\\eta$")
    panel.set_ylabel("largest $|x_k - x(k\\eta)|$")
    panel.legend(frameon=False, fontsize=9)


def main() -> None:
    """Draw all four."""
    pj.use_all_cores()
    figure = Figure(figsize=(11, 8), layout="constrained")
    for panel, draw in zip(
        figure.subplots(2, 2).flat, (bound, cycle, linearization, bridges), strict=True
    ):
        draw(panel)
        panel.spines[["top", "right"]].set_visible(False)
    path = Path(__file__).with_name("theory.png")
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
