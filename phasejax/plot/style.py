"""Colours and names, the same in every figure."""

# Hues from Okabe and Ito's palette, with the lightness of each set apart, so that the regimes
# differ for every kind of colour vision and in print without colour.
COLOURS = {
    "unlabelled": "#bdbdbd",
    "spike": "#D55E00",
    "oscillation": "#56B4E9",
    "divergence": "#2B1148",
    "converged": "#00664B",
    "descending": "#F7EBA5",
    "unresolved": "#ffffff",
}
HATCH = "////"
"""Over cells whose solver gave up."""
STROKES = ("dashed", "dashdot", "dotted", "solid")
"""Of the first line on a plane, the second, ...; matplotlib and Bokeh both know these names."""
AXES = {"learning_rate": "learning rate η"}
"""Names of axes, whatever the optimizer."""
OPTAX_AXES = AXES | {"b1": "m-decay β₁", "b2": "v-decay β₂", "eps_root": "ε inside the root"}
OWN_AXES = AXES | {
    "a": "a   (v-decay α = 1 − aη)",
    "b": "b   (m-decay β = 1 − bη)",
    "eps": "ε outside the root",
    "eps_root": "ε inside the root",
}
"""Of phasejax's own dynamics, whose a and b, and whose two ε, are the paper's."""
FLOW_AXES = OWN_AXES | {
    "a": "a   (rate of v)",
    "b": "b   (rate of m)",
}
"""Of a flow, which has rates and no decays."""
SYMBOLS = {"learning_rate": "η"}
"""Of hyper-parameters with a value, as in `η = 0.001`."""
OPTAX_SYMBOLS = SYMBOLS | {"b1": "β₁", "b2": "β₂", "eps": "ε", "eps_root": "ε"}
OWN_SYMBOLS = SYMBOLS | {"eps": "ε", "eps_root": "ε"}
WHERE = {"eps": " outside the root", "eps_root": " inside the root"}
"""After an ε of phasejax's own; some of optax's `eps` are inside the root, others outside."""
