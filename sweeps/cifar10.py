"""The paper's own problem: Adam over a and b on two classes of CIFAR-10, 1,000 samples.

`python sweeps/cifar10.py FOLDER [SIDE [STEPS]]` reads the folder `cifar-10-batches-py` and writes
out/cifar10/sweep.zarr and phase_diagram.png. Started again, it resumes. A step of a cell takes
about 5 GFLOP in float64: 24 x 24 cells of 10,000 steps need an accelerator.
"""

import argparse

import phasejax as pj

parser = argparse.ArgumentParser(description="Adam over a and b on two classes of CIFAR-10.")
parser.add_argument("folder", help="CIFAR-10's python batches: data_batch_1 to data_batch_5")
parser.add_argument("side", nargs="?", type=int, default=24, help="values of a and of b")
parser.add_argument("steps", nargs="?", type=int, default=10_000, help="steps per cell")
given = parser.parse_args()

pj.use_all_cores()
pj.use_compilation_cache()

try:
    problem = pj.problems.cifar10(given.folder)
except ValueError as error:
    parser.error(str(error))
axis = pj.log_axis(0.3, 300, given.side)
dataset = pj.sweep(
    problem,
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=1e-8),
    steps=given.steps,
    store="out/cifar10/sweep.zarr",
    resume=True,
)
pj.phase_diagram(dataset, late_loss=True).savefig("out/cifar10/phase_diagram.png", dpi=150)
print(pj.summary(dataset))
