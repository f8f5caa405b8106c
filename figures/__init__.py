"""The figures of the gallery, one per file; `python -m figures` draws them.

Each file has a `TITLE`, a `CAPTION`, `compute()` that loads or computes the data, and
`draw(computed)` that returns a `matplotlib.figure.Figure`.
"""

SLIDES = (
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
"""Names of the figures of the paper's slides, in the order of the gallery."""
MEASURED = (
    "edge_of_stability",
    "spike_predictor",
    "lyapunov",
    "periods",
    "stability_diagram",
    "stability_models",
    "central_flow",
    "flow_validity",
)
"""Names of the figures of what probes measure and flows predict, which follow them."""
ORDER = (*SLIDES, *MEASURED)
"""Names of all figures in the order of the gallery."""
