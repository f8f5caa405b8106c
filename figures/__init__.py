"""Every figure of the slides, drawn by `python -m figures`; one figure a file.

Each file has a `TITLE`, a `CAPTION`, `compute()` that finds or makes what is drawn, and
`draw(computed)` that returns a `matplotlib.figure.Figure`.
"""

ORDER = (
    "features",
    "signgd",
    "steps_and_flows",
    "two_cycle",
    "linearization",
    "three_regimes",
    "phase_diagram",
    "theory_lines",
    "flow_and_adam",
    "seeds",
    "rmsprop",
)
"""As in the gallery."""
