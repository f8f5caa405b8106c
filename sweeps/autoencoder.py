"""An autoencoder of handwritten digits: Adam over a and b, full batch.

`python sweeps/autoencoder.py [SIDE [STEPS]]` writes out/autoencoder/sweep.zarr and
phase_diagram.png. Started again, it resumes.
"""

import argparse

import phasejax as pj

parser = argparse.ArgumentParser(
    description="Adam over a and b on an autoencoder of handwritten digits."
)
parser.add_argument("side", nargs="?", type=int, default=24, help="values of a and of b")
parser.add_argument("steps", nargs="?", type=int, default=5_000, help="steps per cell")
given = parser.parse_args()

pj.use_all_cores()
pj.use_compilation_cache()

axis = pj.log_axis(0.3, 300, given.side)
dataset = pj.sweep(
    pj.problems.autoencoder(),
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=1e-8),
    steps=given.steps,
    store="out/autoencoder/sweep.zarr",
    resume=True,
)
pj.phase_diagram(dataset).savefig("out/autoencoder/phase_diagram.png", dpi=150)
print(pj.summary(dataset))
