"""Slices of a 3-D diagram: Adam's regimes over a and b on the digits, at four learning rates.

Writes out/learning_rate/sweep.zarr and slices.png; takes about two minutes on two cores.
"""

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

axis = pj.log_axis(0.3, 300, 12)
dataset = pj.sweep(
    pj.problems.digits(),
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=[1e-4, 3e-4, 1e-3, 3e-3], eps=1e-8),
    steps=20_000,
    store="out/learning_rate/sweep.zarr",
    overwrite=True,
)
pj.small_multiples(dataset, "learning_rate").savefig("out/learning_rate/slices.png", dpi=150)
print(pj.summary(dataset))
