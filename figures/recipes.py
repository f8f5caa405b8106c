"""What the scripts in sweeps/ compute, for figures that draw it."""

import subprocess
import sys
from pathlib import Path

import xarray as xr

import phasejax as pj
from phasejax.engine.metadata import FORMAT
from phasejax.regimes.codes import MISSING

ROOT = Path(__file__).parents[1]


def found(store: str, script: str, *arguments: str) -> xr.Dataset:
    """Open a store below out/ that a script of sweeps/ writes; run it first if need be.

    A store that is there and complete is taken as it is; `make clean` takes away all of them.
    """
    path = ROOT / "out" / store
    if not _complete(path):
        subprocess.run(
            [sys.executable, str(ROOT / "sweeps" / script), *arguments],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return pj.open_dataset(path).load()


def _complete(path: Path) -> bool:
    if not path.exists():
        return False
    dataset = pj.open_dataset(path)
    recent = dataset.attrs.get("format") == FORMAT
    return recent and not bool((dataset["status"] == MISSING).any())
