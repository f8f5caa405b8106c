"""A wheel in an environment that has nothing else runs the commands of the README as they stand."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def test_a_wheel_has_every_file_of_the_package(wheel):
    """The page, its script, the style and the mark of a typed package among them."""
    tracked = subprocess.run(
        ["git", "ls-files", "phasejax"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    others = {"phasejax/page/page.html", "phasejax/plot/paper.mplstyle", "phasejax/py.typed"}
    assert others <= set(tracked)
    assert set(tracked) <= set(zipfile.ZipFile(wheel).namelist())


def needed(of: Distribution, extras: Iterable[str] = ()) -> list[Distribution]:
    """What a distribution with these extras requires, directly or not, as it is installed here."""
    found: dict[tuple, Distribution] = {}

    def add(of: Distribution, extras: Iterable[str]) -> None:
        for requirement in map(Requirement, of.requires or ()):
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": name}) for name in ("", *extras)):
                continue
            other, key = distribution(requirement.name), (requirement.name, *requirement.extras)
            assert other.version in requirement.specifier, requirement
            if key not in found:
                found[key] = other
                add(other, requirement.extras)

    add(of, extras)
    return list(found.values())


def link(distributions: Iterable[Distribution], site: Path) -> None:
    """Put distributions into another environment, as they are here: pip takes half a minute."""
    for one in distributions:
        for top in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(str(one.locate_file(top)))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """An environment that holds the wheel and what it depends on, and nothing else."""
    path = tmp_path_factory.mktemp("home") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    pip = [sys.executable, "-m", "pip", "--python", path, "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    [site] = path.glob("lib/python*/site-packages")
    [metadata] = site.glob("phasejax-*.dist-info")
    installed = PathDistribution(metadata)
    link(needed(installed), site)
    return installed, site


@pytest.fixture(scope="module")
def binaries(environment):
    """Programs of the environment."""
    return environment[1].parents[2] / "bin"


@pytest.fixture
def run(binaries, tmp_path):
    """Run a shell script with these programs, in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()
    environment = {
        "PATH": f"{binaries}:/usr/bin:/bin",
        "HOME": str(binaries.parents[1]),  # compiled programs are kept there
        "BROWSER": "true",  # `view` opens the page with this
    }

    def run(script):
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)

    return run


def test_the_wheel_alone_runs_the_five_lines_of_the_readme(run, tmp_path):
    [lines] = re.findall(r"## Five lines of Python\n\n```python\n(.*?)```", README, re.S)
    short = lines.replace("24)", "3)").replace("20_000", "300, store='out.zarr'")
    assert short.count(" 3)") == 2
    assert "300," in short
    (tmp_path / "five.py").write_text(short)
    done = run("phasejax --help && python ../five.py")
    assert done.returncode == 0, done.stderr
    assert "Usage: phasejax" in done.stdout
    assert "descending" in done.stdout
    assert (tmp_path / "work" / "phase_diagram.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("command", "extra"),
    [("view out.zarr", "page"), ("sweep --a 1,2 --b 1 --scheduler tcp://localhost:1", "cluster")],
    ids=["page", "cluster"],
)
def test_a_missing_extra_is_named(run, command, extra):
    if command.startswith("view"):
        small = "--problem quadratic --a 1,2 --b 1 --steps 300 --store out.zarr"
        assert run(f"phasejax sweep {small}").returncode == 0
    done = run(f"phasejax {command}")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"pip install 'phasejax[{extra}]'" in done.stderr


def test_commands_of_the_readme_are_pasted_and_run(run, environment, tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    commands = "".join(block for block in blocks if block.startswith("phasejax"))
    assert len(re.findall("^phasejax", commands, re.M)) >= 4
    installed, site = environment
    link(needed(installed, ["page"]), site)
    done = run(commands)
    assert done.returncode == 0, done.stderr
    work = tmp_path / "work"
    assert {path.name for path in work.rglob("*") if path.parent == work / "out"} == {
        "mine.zarr",
        "phase_diagram.html",
    }
    assert (work / "mine.svg").read_text().startswith("<?xml")
    assert '"regimes"' in done.stdout
    assert "Traceback" not in done.stderr
