"""A page about one sweep: the diagram and what was run, in one file that needs nothing else."""

import base64
import html
import io
from pathlib import Path
from string import Template

import xarray as xr

from .info import summary
from .plot import phase_diagram

PAGE = Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
         color: #222; background: #fff }
  img { max-width: 100%; height: auto }
  pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; font-size: 14px }
</style>
<h1>Phase diagram: $title</h1>
<img src="data:image/png;base64,$image" alt="Regime of every cell; the counts stand below">
<pre>$summary</pre>
</html>
"""
)


def write_page(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write the page of a sweep over two axes as one HTML file; returns its path."""
    picture = io.BytesIO()
    phase_diagram(dataset, late_loss=True).savefig(picture, format="png", dpi=150)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = PAGE.substitute(
        title=html.escape(dataset.attrs["title"]),
        image=base64.b64encode(picture.getvalue()).decode(),
        summary=html.escape(summary(dataset)),
    )
    path.write_text(page, encoding="utf-8")
    return path
