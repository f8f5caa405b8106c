"""A page about one sweep: the plane, the loss curves of its cells, and what was run."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import xarray as xr
from bokeh.embed import components
from bokeh.resources import Resources

from .._check import bad
from ..envelope import excess
from ..plot.diagram import plane
from ..plot.lines import Line, Lines, lines_over
from ..plot.marks import Marks, marks_on
from ..regimes import LABELS, NAMES
from ..regimes.codes import COMPUTED, INFERRED, MISSING
from ..results.axes import cell_edges, in_order, is_category, names_of, positions, value_text
from ..results.summary import summary
from .pack import SERIES, pack, pack_curves
from .plots import CODES, NOT_THERE, PAGE_COLOURS, PANELS, document

MOST_CELLS = 100_000
"""Cells that a browser still draws without waiting."""


def write_page(
    dataset: xr.Dataset,
    path: str | Path,
    *,
    x: str | None = None,
    y: str | None = None,
    marks: Marks | None = None,
    lines: Lines | None = None,
) -> Path:
    """Write a page to look around in a sweep over two axes; returns its path.

    It is one HTML file that asks nothing of a network: the plane, coloured by regime or by any
    feature, and the loss curves of the cells that are clicked on, or chosen with the arrow keys.
    A sweep that still runs shows what is done.

    **Arguments:**

    - `dataset`: what `phasejax.sweep` returned, or `phasejax.open_dataset` opened. Of more than
        two axes, select one value each first: `dataset.sel(seed=0)`.
    - `path`: the file, such as `phase_diagram.html`; its folder is made if need be.
    - `x`, `y`: which axis is horizontal and which vertical; by default the first and the second.
    - `marks`: cells whose curves are open at first, at most four: `[{"a": 1, "b": 100}]`; `()` for
        none. By default the paper's three, if the sweep is the paper's, or the surest cells of
        some regimes.
    - `lines`: as of `phasejax.phase_diagram`.

    Raises a `ValueError` for more than 100,000 cells: select a part of them. Curves are rounded,
    to 0.001 decades where that makes no large file, to 0.02 at most; beyond, windows are merged.
    """
    x, y = plane(dataset, x, y)
    cells = dataset["regime"].size
    if cells > MOST_CELLS:
        raise bad("dataset cells", cells, f"at most {MOST_CELLS}; take a part, as with isel")
    dataset = in_order(_read(dataset), x, y).transpose(x, y, "window", ...)
    if marks is not None and len(marks) > PANELS:
        raise bad("marks", marks, f"at most {PANELS} cells")
    drawn = lines_over(dataset, x, y, lines)
    features = [name for name in LABELS if name in dataset and name != "regime"]
    arrays, about = _packed(dataset, x, y, features)
    regimes = _counts(arrays["regime"])
    layout, packed = pack(arrays)
    about |= {"layout": layout, "lines": [line.name for line in drawn]}
    about["shown"] = _first_shown(dataset, x, y, marks)
    page = _template().render(
        title=_heading(dataset),
        summary=summary(dataset),
        progress=_progress(regimes),
        regimes=[(name, PAGE_COLOURS[name], count) for name, count in regimes.items()],
        maps=about["features"],
        lines=about["lines"],
        about=_safe(about),
        packed=packed,
        **_plots(dataset, x, y, drawn),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _heading(dataset: xr.Dataset) -> str:
    """What was run, and the values of further axes that were selected."""
    chosen = {
        name: dataset[name].item()
        for name in dataset.attrs["axes"]
        if name in dataset.coords and name not in dataset.dims
    }
    texts = [f"{name} = {value_text(value)}" for name, value in chosen.items()]
    return ": ".join([dataset.attrs["title"], *([", ".join(texts)] if texts else [])])


def _read(dataset: xr.Dataset) -> xr.Dataset:
    """Read all values: what is there first, for a sweep that runs may write more meanwhile."""
    if "status" not in dataset:  # of an older store, which has all its cells
        status = np.full(dataset["regime"].shape, COMPUTED, np.int8)
        dataset = dataset.assign(status=(dataset["regime"].dims, status))
    status = dataset["status"].compute()
    return dataset.assign(status=status).compute()


def _template() -> jinja2.Template:
    folder = files("phasejax.page")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals["script"] = (folder / "page.js").read_text("utf-8")
    return environment.from_string((folder / "page.html").read_text("utf-8"))


def _plots(dataset: xr.Dataset, x: str, y: str, lines: list[Line]) -> dict[str, Any]:
    """Bokeh's library, its script for these plots, and the elements that they go into."""
    made = document(dataset, x, y, lines)
    script, places = components(tuple(made.roots), wrap_script=True)
    library = Resources(mode="inline", components=["bokeh"]).render()
    return {"library": library, "plots": script, "plane": places[0], "panels": places[1:]}


def _packed(
    dataset: xr.Dataset, x: str, y: str, features: list[str]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All numbers of the page: of cells in the order `[x, y]`, and curves of those computed."""
    status = dataset["status"].values
    computed = (status == COMPUTED).ravel()
    windows = dataset.sizes["window"]
    curves = pack_curves(
        {name: _over_minimum(dataset, name).reshape(-1, windows)[computed] for name in SERIES}
    )
    unit = dataset["time" if "time" in dataset.coords else "step"].values
    arrays = {
        **{f"{name} values": positions(dataset[name]) for name in (x, y)},
        **{f"{name} edges": cell_edges(dataset, name) for name in (x, y)},
        "regime": np.where(status == MISSING, NOT_THERE, dataset["regime"].values).astype(np.int8),
        "inferred": (status == INFERRED).astype(np.uint8),
        "curve": np.where(computed, np.cumsum(computed) - 1, -1).astype(np.int32),
        **{name: dataset[name].values.astype(np.float32) for name in features},
        "starts": unit[:: curves.merged].astype(float),
        "low": curves.low,
        "high": curves.high,
    }
    about = {
        "x": x,
        "y": y,
        "features": {name: _described(dataset, name) for name in features},
        "ranges": {name: _range(dataset[name].values) for name in features},
        "codes": CODES,
        "colours": PAGE_COLOURS,
        "names": {n: names_of(dataset[n]) for n in (x, y) if is_category(dataset[n])},
        "resolution": curves.resolution,
        "curves": int(computed.sum()),
        "extent": dataset.attrs["time" if "time" in dataset.attrs else "steps"],
    }
    return arrays, about


def _over_minimum(dataset: xr.Dataset, name: str) -> np.ndarray:
    """A series of the envelope; losses are taken over the problem's minimum, as logarithms are."""
    values = dataset[name].values
    if name.startswith("log10") or not dataset.attrs.get("minimum"):
        return values
    eps = float(np.finfo(dataset.attrs["dtype"]).eps)
    return excess(values, dataset.attrs["minimum"], eps)


def _range(values: np.ndarray) -> list[float]:
    """Ends of a feature's colours: what lies beyond is rare."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return [0.0, 1.0]
    low, high = (float(v) for v in np.quantile(finite, [0.02, 0.98]))
    return [low, high] if high > low else [low - 0.5, high + 0.5]


def _first_shown(dataset: xr.Dataset, x: str, y: str, marks: Marks | None) -> list[int]:
    """Cells whose curves are open at first: those marked, or the surest of some regimes."""
    shape = dataset["regime"].shape
    computed = dataset["status"].values == COMPUTED
    edges = cell_edges(dataset, x), cell_edges(dataset, y)
    found = []
    for mark in marks_on(dataset, x, y, marks):
        place = tuple(
            min(int(np.searchsorted(side, at)), size) - 1
            for side, at, size in zip(edges, mark[:2], shape, strict=True)
        )
        if computed[place]:
            found.append(int(np.ravel_multi_index(place, shape)))
    if found or marks is not None:
        return found
    regimes, margins = dataset["regime"].values, np.nan_to_num(dataset["margin"].values)
    for code in range(len(NAMES)):
        surest = np.where((regimes == code) & computed, margins, -np.inf)
        if np.isfinite(surest).any():
            found.append(int(surest.argmax()))
    return found[: PANELS - 1]


def _progress(regimes: Mapping[str, int]) -> str:
    """How much of a sweep that has not ended is there; nothing for one that has."""
    total, missing = sum(regimes.values()), regimes.get(CODES[NOT_THERE], 0)
    return f"{total - missing:,} of {total:,} cells are there so far" if missing else ""


def _counts(codes: np.ndarray) -> dict[str, int]:
    """Number of cells of each regime that occurs, and of those that are not there."""
    counts = {name: int((codes == code).sum()) for code, name in CODES.items()}
    return {name: count for name, count in counts.items() if count}


def _described(dataset: xr.Dataset, feature: str) -> str:
    attrs = dataset[feature].attrs
    return f"{attrs.get('long_name', feature)} ({attrs.get('units', '1')})"


def _safe(value: Mapping[str, Any]) -> str:
    """JSON that ends no script element, whatever names are in it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
