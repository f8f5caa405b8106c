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
SYMBOLS = {
    "a": "a   (v-decay α = 1 − aη)",
    "b": "b   (m-decay β = 1 − bη)",
    "learning_rate": "learning rate η",
    "eps": "ε outside the root",
    "eps_root": "ε inside the root",
    "b1": "m-decay β₁",
    "b2": "v-decay β₂",
    "weight_decay": "weight decay",
}
FLOW_SYMBOLS = {
    "a": "a   (rate of v)",
    "b": "b   (rate of m)",
}
"""Of a flow, which has rates and no decays."""
TITLE = {
    "a": "a = {:g}",
    "b": "b = {:g}",
    "learning_rate": "η = {:.4g}",
    "eps": "ε = {:g} outside the root",
    "eps_root": "ε = {:g} inside the root",
}
NAMES_OF = {"learning_rate": "η", "eps": "ε outside the root", "eps_root": "ε inside the root"}
"""Of an axis, in the title of a panel."""


def plain(text: str) -> str:
    """A user's name as matplotlib shows it, and does not read it as a formula."""
    return text.replace("$", r"\$")
