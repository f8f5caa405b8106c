"""The figures of the paper's slides, one per file; `python -m figures` draws them.

Each file has a `TITLE`, a `CAPTION`, `compute()` that loads or computes the data, and
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
"""Names of the figures in the order of the gallery."""
