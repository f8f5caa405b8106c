"""Colours and names that all figures share."""

COLOURS = {
    "unlabelled": "#bdbdbd",
    "spike": "#D55E00",
    "oscillation": "#56B4E9",
    "divergence": "#2B1148",
    "converged": "#00664B",
    "descending": "#F7EBA5",
    "unresolved": "#ffffff",
}
"""Colours of the regimes and of cells without one.

The hues are those of Okabe and Ito's palette. Every regime has another lightness, so that regimes
differ for every kind of colour vision and in print without colour.
"""
SAME_COLOUR = "#e4e4e4"
"""Colour of cells that have the same regime in two compared sweeps."""
NO_VALUE = "#bdbdbd"
"""Colour of cells in which a drawn variable is nan."""
INFERRED_SHADE = 0.35
"""Share of white in the colour of an inferred cell."""
HATCH = "////"
"""Hatching of unresolved cells."""
STROKES = ("dashed", "dashdot", "dotted", "solid")
"""Styles of the lines on a plane, in order; matplotlib and Bokeh both accept these names."""
AXES = {"learning_rate": "learning rate η"}
"""Names of axes for every optimizer."""
OPTAX_AXES = AXES | {"b1": "m-decay β₁", "b2": "v-decay β₂", "eps_root": "ε inside the root"}
"""Names of axes for optimizers of optax."""
OWN_AXES = AXES | {
    "a": "a   (v-decay α = 1 − aη)",
    "b": "b   (m-decay β = 1 − bη)",
    "delta": "δ = 1 − β₁   (m-decay β₁)",
    "gamma": "γ = 1 − β₂   (v-decay β₂)",
    "eps": "ε outside the root",
    "eps_root": "ε inside the root",
}
"""Names of axes for phasejax's own optimizers, whose a, b and ε are the paper's."""
FLOW_AXES = OWN_AXES | {
    "a": "a   (rate of v)",
    "b": "b   (rate of m)",
}
"""Names of axes for phasejax's own flows, which have rates in place of decays."""
SYMBOLS = {"learning_rate": "η"}
"""Symbols of hyper-parameters for every optimizer, as in `η = 0.001`."""
OPTAX_SYMBOLS = SYMBOLS | {"b1": "β₁", "b2": "β₂", "eps": "ε", "eps_root": "ε"}
"""Symbols of hyper-parameters for optimizers of optax."""
OWN_SYMBOLS = SYMBOLS | {"delta": "δ", "gamma": "γ", "eps": "ε", "eps_root": "ε"}
"""Symbols of hyper-parameters for phasejax's own dynamics."""
DECAYS = {"delta": OPTAX_AXES["b1"], "gamma": OPTAX_AXES["b2"]}
"""Names of the axes δ and γ where they show the decays β₁ = 1 − δ and β₂ = 1 − γ."""
WHERE = {"eps": " outside the root", "eps_root": " inside the root"}
"""What follows the value of an ε. Not used for optax's `eps`, which can be inside or outside."""
