"""RMSprop on two handwritten digits, over a and the learning rate.

Writes out/rmsprop_digits/sweep.zarr and phase_diagram.png, with the regimes and the late loss.
"""

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

dataset = pj.sweep(
    pj.problems.digits(),
    pj.rmsprop,
    pj.Grid(
        a=pj.log_axis(0.3, 100, 16),
        learning_rate=pj.log_axis(1e-5, 1e-2, 16),  # a * learning_rate is at most 1
        eps=0.0,
        eps_root=1e-8,  # inside the root, as in the paper's update
    ),
    steps=20_000,
    store="out/rmsprop_digits/sweep.zarr",
    overwrite=True,
)
pj.phase_diagram(dataset, late_loss=True).savefig("out/rmsprop_digits/phase_diagram.png", dpi=150)
print(pj.summary(dataset))
