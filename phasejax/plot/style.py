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
    "a": r"$a$   (v-decay $\alpha = 1 - a\eta$)",
    "b": r"$b$   (m-decay $\beta = 1 - b\eta$)",
    "learning_rate": r"learning rate $\eta$",
    "eps": r"$\epsilon$ outside the root",
    "eps_root": r"$\epsilon$ inside the root",
    "b1": r"m-decay $\beta_1$",
    "b2": r"v-decay $\beta_2$",
    "weight_decay": "weight decay",
}
FLOW_SYMBOLS = {
    "a": r"$a$   (rate of $v$)",
    "b": r"$b$   (rate of $m$)",
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
