"""Figures that show themselves in a notebook."""

import io

from matplotlib.figure import Figure


class Diagram(Figure):
    """A matplotlib figure without pyplot, which a notebook shows if a cell returns it."""

    def __repr__(self) -> str:
        title = self.get_suptitle() or self.axes[0].get_title()
        return f"<Diagram: {' '.join(title.split())}>"

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
