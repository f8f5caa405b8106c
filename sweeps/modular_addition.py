"""A transformer that learns to add modulo 13: Adam over a and b, full batch.

`python sweeps/modular_addition.py [SIDE [STEPS]]` writes out/modular_addition/sweep.zarr and
phase_diagram.png. The transformer has one layer; the loss is that of 80 % of all pairs. Started
again, it resumes.
"""

import argparse

import phasejax as pj

parser = argparse.ArgumentParser(
    description="Adam over a and b on a transformer that adds modulo 13."
)
parser.add_argument("side", nargs="?", type=int, default=24, help="values of a and of b")
parser.add_argument("steps", nargs="?", type=int, default=5_000, help="steps per cell")
given = parser.parse_args()

pj.use_all_cores()
pj.use_compilation_cache()

axis = pj.log_axis(0.3, 300, given.side)
dataset = pj.sweep(
    pj.problems.modular_addition(),
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=1e-8),
    steps=given.steps,
    store="out/modular_addition/sweep.zarr",
    resume=True,
)
pj.phase_diagram(dataset).savefig("out/modular_addition/phase_diagram.png", dpi=150)
print(pj.summary(dataset))
