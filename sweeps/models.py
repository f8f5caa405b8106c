"""Models as people train them, small: Adam over a and b.

`python sweeps/models.py NAME [SIDE [STEPS]]` sweeps `modular_addition` or `characters`,
transformers of one layer, `convnet` or `autoencoder`, and writes out/NAME/sweep.zarr and
phase_diagram.png. 24 x 24 cells of 5,000 steps take ten to fifteen minutes on two cores. Started
again, it resumes.
`--path FILE` gives `characters` another text than the sources of six modules of Python's standard
library; its recorded loss is that of four fixed windows.
"""

import argparse

import phasejax as pj

NAMES = ("modular_addition", "characters", "convnet", "autoencoder")

parser = argparse.ArgumentParser(description="Adam over a and b on models as people train them.")
parser.add_argument("name", choices=NAMES, help="the problem")
parser.add_argument("side", nargs="?", type=int, default=24, help="values of a and of b")
parser.add_argument("steps", nargs="?", type=int, default=5_000, help="steps per cell")
parser.add_argument("--path", help="a text file in UTF-8, for characters")
given = parser.parse_args()
if given.path is not None and given.name != "characters":
    parser.error(f"--path = {given.path}: must be left out; only characters reads a text")

pj.use_all_cores()
pj.use_compilation_cache()

try:
    text = {} if given.path is None else {"path": given.path}
    problem = pj.problems.BUILT_IN[given.name](**text)
except ValueError as error:
    parser.error(str(error))
axis = pj.log_axis(0.3, 300, given.side)
dataset = pj.sweep(
    problem,
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=1e-8),
    steps=given.steps,
    store=f"out/{given.name}/sweep.zarr",
    resume=True,
)
pj.phase_diagram(dataset).savefig(f"out/{given.name}/phase_diagram.png", dpi=150)
print(pj.summary(dataset))
