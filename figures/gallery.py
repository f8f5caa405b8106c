"""The page of the docs that shows all figures with their captions."""

from importlib import import_module
from pathlib import Path

from . import ORDER

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "figures"
GALLERY = DOCS / "gallery.md"
HEAD = """# Gallery

Every figure of Ma, Wu and E's slides (A Qualitative Study of the Dynamic Behavior of Adaptive
Gradient Algorithms, MSML 2021), from phasejax's own runs, and then what probes and flows add: why
runs spike, which are chaotic or periodic, and where flows follow them. `make figures` draws all of
them, as PNG and PDF, and `python -m figures NAME` draws one. The code of each is in
`figures/NAME.py`.
"""


def gallery() -> str:
    """Return the page, from the titles and captions of the figures."""
    parts = [HEAD]
    for name in ORDER:
        module = import_module(f"figures.{name}")
        picture = f"![{module.TITLE}](figures/{name}.png)"
        parts.append(f"## {module.TITLE}\n\n{picture}\n\n{module.CAPTION.strip()} (`{name}`)\n")
    return "\n".join(parts)
