"""A notebook run by a real kernel: the outputs of its cells."""

import base64

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = (
    "import phasejax as pj\n"
    "grid = pj.Grid(a=pj.log_axis(1, 100, 3), b=pj.log_axis(1, 100, 4), learning_rate=1e-3)\n"
    "grid",
    "dataset = pj.sweep(pj.problems.quadratic(), pj.adam, grid, steps=640, windows=64)\ndataset",
    "pj.summary(dataset)",
    "pj.phase_diagram(dataset)",
    "pj.problems.quadratic()",
)


@pytest.fixture(scope="module")
def outputs():
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return [cell.outputs for cell in notebook.cells]


def shown(outputs):
    return next(o.data for o in outputs if o.output_type == "execute_result")


def test_progress_is_shown_with_its_rate_and_the_time_left(outputs):
    streams = [o.text for o in outputs[1] if o.output_type == "stream" and o.name == "stderr"]
    assert "640 steps: 100%" in "".join(streams)
    assert "12/12 cells" in "".join(streams)


def test_a_dataset_shows_the_regime_first(outputs):
    text, html = (shown(outputs[1])[f"text/{kind}"] for kind in ("plain", "html"))
    assert text.split("Data variables")[1].splitlines()[1].split()[0] == "regime"
    assert html.index("regime") < html.index("late_level")
    assert "adam on quadratic" in html


def test_a_diagram_is_a_picture(outputs):
    data = shown(outputs[3])
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"].startswith("<Diagram: adam on quadratic: η = 0.001")


def test_a_summary_is_shown_in_lines(outputs):
    text = shown(outputs[2])["text/plain"]
    assert text.splitlines()[0] == "adam on quadratic, 640 steps, float64"
    assert "12 cells:" in text


def test_grids_and_problems_have_a_readable_repr(outputs):
    axes = "a=<1 to 100, 3 values, log>, b=<1 to 100, 4 values, log>"
    assert shown(outputs[0])["text/plain"] == f"Grid({axes}, seed=0, learning_rate=0.001)"
    assert shown(outputs[4])["text/plain"].startswith("Problem(quadratic, spectrum=[1.0, 0.1]")
