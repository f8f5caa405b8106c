"""Load the stores that the scripts in sweeps/ write."""

import subprocess
import sys
from pathlib import Path

import xarray as xr

import phasejax as pj
from phasejax.engine.metadata import FORMAT
from phasejax.regimes.codes import MISSING

ROOT = Path(__file__).parents[1]


def found(store: str, script: str, *arguments: str) -> xr.Dataset:
    """Load the store out/`store`; run `script` of sweeps/ first if it is missing or incomplete.

    `make clean` removes all stores.
    """
    path = ROOT / "out" / store
    if not _complete(path):
        run(script, *arguments)
    return pj.open_dataset(path).load()


def run(script: str, *arguments: str) -> None:
    """Run a script of sweeps/, whose table is not shown."""
    command = [sys.executable, str(ROOT / "sweeps" / script), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _complete(path: Path) -> bool:
    """Say whether a store exists, has the current format and no missing cells."""
    if not path.exists():
        return False
    dataset = pj.open_dataset(path)
    recent = dataset.attrs.get("format") == FORMAT
    return recent and not bool((dataset["status"] == MISSING).any())
