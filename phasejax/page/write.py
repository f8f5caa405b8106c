"""Write the page of a sweep: the plane, the loss curves of its cells, and the configuration."""

import json
from collections.abc import Collection, Mapping, Sequence
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
from ..plot.lines import Line, Lines, lines_over
from ..plot.marks import Marks, marks_on
from ..plot.plane import plane
from ..regimes import LABELS, NAMES
from ..regimes.codes import COMPUTED, INFERRED, MISSING
from ..results.axes import cell_edges, in_order, is_category, names_of, positions, value_text
from ..results.summary import summary
from .pack import SERIES, pack, pack_curves
from .plots import NOT_COMPUTED, PAGE_CODES, PAGE_COLOURS, PANELS, document
from .probes import carried
from .replays import by_cell

MOST_CELLS = 100_000
"""Most cells that a browser draws without a noticeable delay."""


def write_page(
    dataset: xr.Dataset,
    path: str | Path,
    *,
    x: str | None = None,
    y: str | None = None,
    marks: Marks | None = None,
    lines: Lines | None = None,
    replays: Sequence[xr.Dataset] = (),
) -> Path:
    """Write an interactive page of a sweep over two axes; returns its path.

    The page is one HTML file that needs no network. It shows the plane, coloured by regime or by
    any feature, and the loss curves of cells that are clicked or chosen with the arrow keys. What
    probes measured is drawn below the loss curves, and colours the plane. The page of a sweep that
    is still running shows the cells that have been computed.

    **Arguments:**

    - `dataset`: what `phasejax.sweep` returned, or `phasejax.open_dataset` opened. If it has more
        than two axes, select one value of each further axis first: `dataset.sel(seed=0)`.
    - `path`: the file, such as `phase_diagram.html`; its folder is created if it does not exist.
    - `x`, `y`: the horizontal and the vertical axis; by default the first and the second.
    - `marks`: cells whose curves are open at first, at most four: `[{"a": 1, "b": 100}]`; `()` for
        none. The default is the paper's three cells if the sweep is the paper's; otherwise the
        cells with the largest margins, one of each regime, at most three.
    - `lines`: as in `phasejax.phase_diagram`.
    - `replays`: what `phasejax.replay` returned of some cells. The page marks them by a ring, and
        their panels also show the loss of every step. Without `marks`, the first four are open.

    Raises a `ValueError` for more than 100,000 cells: select a part of them; for a replay of
    another sweep; and for replays of more than 1,000,000 steps together.

    Curves are rounded to 0.001 decades, or up to 0.02 to keep the file small; if that is not
    enough, successive windows are merged. Those of probes are rounded likewise, to a fraction of
    the value; of more than 100,000 of them, the page has those of the first variables, and maps of
    all. The losses of steps are not rounded.
    """
    x, y = plane(dataset, x, y)
    cells = dataset["regime"].size
    if cells > MOST_CELLS:
        raise bad("dataset cells", cells, f"at most {MOST_CELLS}; take a part, as with isel")
    dataset = in_order(_read(dataset), x, y).transpose(x, y, "window", ...)
    if marks is not None and len(marks) > PANELS:
        raise bad("marks", marks, f"at most {PANELS} cells")
    drawn = lines_over(dataset, x, y, lines)
    replayed = by_cell(dataset, x, y, replays)
    features = [name for name in LABELS if name in dataset and name != "regime"]
    arrays, about = _packed(dataset, x, y, features)
    if replayed:
        arrays["replayed"], about["replays"] = _every_step(dataset, replayed)
    regimes = _counts(arrays["regime"])
    layout, packed = pack(arrays)
    about |= {"layout": layout, "lines": [line.name for line in drawn]}
    about["shown"] = _first_shown(dataset, x, y, marks, replayed)
    page = _template(about).render(
        title=_heading(dataset),
        summary=summary(dataset),
        progress=_progress(regimes),
        regimes=[(name, PAGE_COLOURS[name], count) for name, count in regimes.items()],
        maps=about["features"],
        probes=about.get("probes", {}).get("variables"),
        lines=about["lines"],
        replays=len(replayed),
        about=_safe(about),
        packed=packed,
        **_plots(dataset, x, y, drawn, replayed),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _heading(dataset: xr.Dataset) -> str:
    """Title of the sweep, and the selected values of further axes."""
    chosen = {
        name: dataset[name].item()
        for name in dataset.attrs["axes"]
        if name in dataset.coords and name not in dataset.dims
    }
    texts = [f"{name} = {value_text(value)}" for name, value in chosen.items()]
    return ": ".join([dataset.attrs["title"], *([", ".join(texts)] if texts else [])])


def _read(dataset: xr.Dataset) -> xr.Dataset:
    """Read all values, `status` first: a running sweep may write more cells in the meantime."""
    status = dataset["status"].compute()
    return dataset.assign(status=status).compute()


def _template(about: Mapping[str, Any]) -> jinja2.Template:
    """The page, with the scripts for probes and for replays if there are any."""
    folder = files("phasejax.page")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    scripts = ("page.js", *(f"{part}.js" for part in ("probes", "replays") if part in about))
    environment.globals["script"] = "\n".join((folder / n).read_text("utf-8") for n in scripts)
    return environment.from_string((folder / "page.html").read_text("utf-8"))


def _plots(
    dataset: xr.Dataset, x: str, y: str, lines: list[Line], replayed: Collection[int]
) -> dict[str, Any]:
    """Bokeh's library, its script for these plots, and the HTML elements that hold them."""
    made = document(dataset, x, y, lines, replayed)
    script, places = components(tuple(made.roots), wrap_script=True)
    library = Resources(mode="inline", components=["bokeh"]).render()
    panels, below = places[1 : PANELS + 1], places[PANELS + 1 :]
    shown = {"plane": places[0], "panels": panels, "below": below}
    return {"library": library, "plots": script, **shown}


def _packed(
    dataset: xr.Dataset, x: str, y: str, features: list[str]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and settings of the page: all cells in the order `[x, y]`, curves of computed ones."""
    status = dataset["status"].values
    regime = np.where(status == MISSING, NOT_COMPUTED, dataset["regime"].values)
    computed = (status == COMPUTED).ravel()
    windows = dataset.sizes["window"]
    curves = pack_curves(
        {name: _series(dataset, name).reshape(-1, windows)[computed] for name in SERIES}
    )
    unit = dataset["time" if "time" in dataset.coords else "step"].values
    arrays = {
        **{f"{name} values": positions(dataset[name]) for name in (x, y)},
        **{f"{name} edges": cell_edges(dataset, name) for name in (x, y)},
        "regime": regime.astype(np.int8),
        "inferred": (status == INFERRED).astype(np.uint8),
        "curve": np.where(computed, np.cumsum(computed) - 1, -1).astype(np.int32),
        **{name: dataset[name].values.astype(np.float32) for name in features},
        "starts": unit[:: curves.merged].astype(float),
        "low": curves.low,
        "high": curves.high,
    }
    probed = carried(dataset, computed)
    about = {
        "x": x,
        "y": y,
        "features": {name: _described(dataset, name) for name in features},
        "ranges": {name: _range(dataset[name].values) for name in features},
        "codes": PAGE_CODES,
        "colours": PAGE_COLOURS,
        "names": {n: names_of(dataset[n]) for n in (x, y) if is_category(dataset[n])},
        "resolution": curves.resolution,
        "curves": int(computed.sum()),
        "extent": dataset.attrs["time" if "time" in dataset.attrs else "steps"],
    }
    about["features"] |= probed.features
    about["ranges"] |= probed.ranges
    about |= {name: of for name in ("scales", "probes") if (of := getattr(probed, name))}
    return arrays | probed.arrays, about


def _every_step(
    dataset: xr.Dataset, replayed: Mapping[int, xr.Dataset]
) -> tuple[np.ndarray, dict[str, Any]]:
    """Losses of all replayed cells, one after the other, and settings of the page."""
    losses = np.concatenate([run["loss"].values for run in replayed.values()])
    same = [bool(run.attrs.get("same_bits", True)) for run in replayed.values()]
    return _over_minimum(dataset, losses), {"cells": list(replayed), "same": same}


def _series(dataset: xr.Dataset, name: str) -> np.ndarray:
    """A series of the envelope, less the problem's minimum; logarithms are stored so."""
    values = dataset[name].values
    return values if name.startswith("log10") else _over_minimum(dataset, values)


def _over_minimum(dataset: xr.Dataset, loss: np.ndarray) -> np.ndarray:
    """Losses less the problem's minimum."""
    if not dataset.attrs.get("minimum"):
        return loss
    eps = float(np.finfo(dataset.attrs["dtype"]).eps)
    return excess(loss, dataset.attrs["minimum"], eps)


def _range(values: np.ndarray) -> list[float]:
    """Ends of a feature's colour scale: its 2 % and 98 % quantiles."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return [0.0, 1.0]
    low, high = (float(v) for v in np.quantile(finite, [0.02, 0.98]))
    return [low, high] if high > low else [low - 0.5, high + 0.5]


def _first_shown(
    dataset: xr.Dataset, x: str, y: str, marks: Marks | None, replayed: Collection[int]
) -> list[int]:
    """Cells whose curves are open at first.

    They are the marked ones; by default those that were replayed, or have the largest margins.
    """
    if replayed and marks is None:
        return list(replayed)[:PANELS]
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
        of_regime = np.where((regimes == code) & computed, margins, -np.inf)
        if np.isfinite(of_regime).any():
            found.append(int(of_regime.argmax()))
    return found[: PANELS - 1]


def _progress(regimes: Mapping[str, int]) -> str:
    """Progress of a sweep that is still running; empty for one that has ended."""
    total, missing = sum(regimes.values()), regimes.get(PAGE_CODES[NOT_COMPUTED], 0)
    return f"{total - missing:,} of {total:,} cells computed so far" if missing else ""


def _counts(codes: np.ndarray) -> dict[str, int]:
    """Number of cells of each code of the page that occurs, by name."""
    counts = {name: int((codes == code).sum()) for code, name in PAGE_CODES.items()}
    return {name: count for name, count in counts.items() if count}


def _described(dataset: xr.Dataset, feature: str) -> str:
    attrs = dataset[feature].attrs
    return f"{attrs.get('long_name', feature)} ({attrs.get('units', '1')})"


def _safe(value: Mapping[str, Any]) -> str:
    """JSON without "<", so that no name in it can end the script element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
