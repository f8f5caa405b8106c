"""Adam's flow on real digits and a small tanh network, beside Adam with a finite step.

Writes out/flow_digits/flow.zarr, adam.zarr and comparison.png; some six minutes on two cores. The
activation is smooth and ε = 1e-4 inside the root: the kinks of relu, and a smaller ε, cost a solver
many more steps.
"""

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

axis = pj.log_axis(0.3, 300, 32)
problem = pj.problems.digits(activation="tanh")
epsilon = {"eps": 0.0, "eps_root": 1e-4}
flow = pj.sweep(
    problem,
    pj.Flow(pj.adam_flow, rtol=1e-6, atol=1e-10),
    pj.Grid(a=axis, b=axis, **epsilon),
    time=10.0,
    store="out/flow_digits/flow.zarr",
    overwrite=True,
)
adam = pj.sweep(
    problem,
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1e-3, **epsilon),
    steps=10_000,  # the same time
    store="out/flow_digits/adam.zarr",
    overwrite=True,
)
pj.comparison(flow, adam).savefig("out/flow_digits/comparison.png", dpi=100)
print(pj.summary(flow))
print(pj.summary(adam))
