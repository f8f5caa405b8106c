"""A wheel in an environment that has nothing else runs the commands of the README as they stand."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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


def test_commands_of_the_readme_are_pasted_and_run(wheel, tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    commands = "".join(block for block in blocks if block.startswith("phasejax"))
    assert len(re.findall("^phasejax", commands, re.M)) >= 4
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run([binaries / "pip", "install", "--quiet", "--no-compile", wheel], check=True)
    work = tmp_path / "work"
    work.mkdir()
    environment = {
        "PATH": f"{binaries}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "BROWSER": "true",  # `view` opens the page with this
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in work.rglob("*") if path.parent == work / "out"} == {
        "mine.zarr",
        "phase_diagram.html",
    }
    assert (work / "mine.svg").read_text().startswith("<?xml")
    assert '"regimes"' in done.stdout
    assert "Traceback" not in done.stderr
