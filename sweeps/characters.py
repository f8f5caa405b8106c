"""A transformer that predicts the next character: Adam over a and b, mini-batches.

`python sweeps/characters.py [SIDE [STEPS]] [--path FILE]` writes out/characters/sweep.zarr and
phase_diagram.png. The text is the sources of six modules of Python's standard library, or `--path
FILE`. The loss that is recorded is that of eight fixed windows. Started again, it resumes.
"""

import argparse

import phasejax as pj

parser = argparse.ArgumentParser(
    description="Adam over a and b on a transformer that predicts characters."
)
parser.add_argument("--path", help="a text file in UTF-8")
parser.add_argument("side", nargs="?", type=int, default=24, help="values of a and of b")
parser.add_argument("steps", nargs="?", type=int, default=5_000, help="steps per cell")
given = parser.parse_args()

pj.use_all_cores()
pj.use_compilation_cache()

try:
    problem = pj.problems.characters(given.path)
except ValueError as error:
    parser.error(str(error))
axis = pj.log_axis(0.3, 300, given.side)
dataset = pj.sweep(
    problem,
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=1e-8),
    steps=given.steps,
    store="out/characters/sweep.zarr",
    resume=True,
)
pj.phase_diagram(dataset).savefig("out/characters/phase_diagram.png", dpi=150)
print(pj.summary(dataset))
