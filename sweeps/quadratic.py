"""Adam on a convex quadratic: no cell diverges, however large a is compared with b.

Writes out/quadratic/sweep.zarr and phase_diagram.png, with the regimes and the late loss.
"""

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

dataset = pj.sweep(
    pj.problems.quadratic(spectrum=(1.0, 0.1)),
    pj.adam,
    pj.Grid(a=pj.log_axis(0.3, 300, 96), b=pj.log_axis(0.3, 300, 96), learning_rate=1e-3),
    steps=40_000,
    store="out/quadratic/sweep.zarr",
    overwrite=True,
)
pj.phase_diagram(dataset, late_loss=True).savefig("out/quadratic/phase_diagram.png", dpi=150)
print(pj.summary(dataset))
