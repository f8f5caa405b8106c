"""Every block of code in the README and the docs runs, and the site builds without a complaint."""

import functools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import phasejax as pj
from phasejax import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```(\w*)(?: title=\"(.*?)\")?\n(.*?)```", re.S)
ELSEWHERE = ("make", ".venv/bin/phasejax", "python3", ".", "pip", "dask", "XLA_FLAGS=")
"""How lines begin that set something up: tests/test_install.py and tests/test_paper.py do that."""


def blocks(page):
    return [found.groups() for found in BLOCK.finditer(page.read_text())]


def shortly(sweep):
    """A sweep of few steps and cells: that the words are right, not what they find."""

    @functools.wraps(sweep)
    def short(*arguments, steps=0, time=None, **others):
        budget = {"steps": 64} if time is None else {"time": 1.0}
        if "refine" in others:
            others["refine"] = 33
        return sweep(*arguments, **others, **budget, windows=8)

    return short


few_digits = functools.partial(pj.problems.digits, samples=16, hidden=(4,))


def run_python(source, names, monkeypatch):
    if "dask_jobqueue" in source:
        compile(source, "block", "exec")  # needs a cluster
        return
    with monkeypatch.context() as shorter:
        shorter.setattr(pj, "sweep", shortly(pj.sweep))
        shorter.setattr(pj.problems, "digits", few_digits)
        exec(source, names)


def without(flag, words):
    """Take a flag and its value out of a command line."""
    if flag not in words:
        return words
    place = words.index(flag)
    return words[:place] + words[place + 2 :]


def run_shell(source):
    for line in source.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0].startswith(ELSEWHERE) or "--scheduler" in words:
            continue
        assert words[0] == "phasejax", line
        words = [re.sub("^257$", "33", word.replace(":64", ":8")) for word in words[1:]]
        if words[0] == "sweep":
            budget = ["--time", "1"] if "--time" in words else ["--steps", "64"]
            words = without("--time", without("--steps", words))
            words += ["--windows", "8", *budget]
        assert cli.main(words) == 0, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_runs_from_top_to_bottom(page, monkeypatch, tmp_path, capsys):
    found = blocks(page)
    if not any(language in ("python", "sh") for language, *_ in found):
        pytest.skip("no code")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    falling = 10.0 ** -np.linspace(0, 5, 500)
    np.savetxt("training_log.csv", falling[:, None], delimiter=",")
    np.save("losses.npy", 0.5 + falling)
    names = {"__name__": "__main__", "pj": pj}
    for language, title, source in found:
        if title:
            Path(title).write_text(source)
        elif language == "python":
            run_python(source, names, monkeypatch)
        elif language == "sh":
            if page.stem != "README":  # tests/test_install.py pastes those
                run_shell(source)
        else:
            assert language == "", f"a block of {language!r}, which no test runs"
    sys.modules.pop("mine", None)
    capsys.readouterr()


def test_links_of_the_readme_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGES[0].read_text()):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built so that a broken link, name or formula is an error."""
    path = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return path


def test_site_has_every_page_and_asks_nothing_of_a_network(site):
    for page in PAGES[1:]:
        built = site / page.relative_to(ROOT / "docs").with_suffix(".html")
        text = built.read_text()
        assert not re.search(r"<(script|img|iframe)[^>]+src=\"https?:", text), built
        assert not re.search(r"<link[^>]+stylesheet[^>]+href=\"https?:", text), built


def test_formulas_are_drawn_and_not_left_as_tex(site):
    text = (site / "theory.html").read_text()
    assert text.count("<math") > 50
    assert "\\frac" not in text
    assert "arithmatex" not in text
    assert "<mfrac>" in (site / "reference.html").read_text()


def test_reference_has_every_public_name(site):
    text = (site / "reference.html").read_text()
    for line in (ROOT / "phasejax" / "__init__.pyi").read_text().splitlines():
        name = line.split()[-1]
        if name not in ("__version__", "dynamics", "problems", "regimes"):
            assert re.search(rf'id="[\w.]*\b{name}"', text), name
    for name in pj.problems.BUILT_IN:
        assert f'id="phasejax.problems.{name}.{name}"' in text, name
