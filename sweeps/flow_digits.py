"""Adam's flow on two handwritten digits with a small tanh network, compared with Adam.

Writes out/flow_digits/flow.zarr, adam.zarr and comparison.png; takes about six minutes on two
cores. The activation is smooth and ε = 1e-4 inside the root, because the kinks of relu and a
smaller ε need many more steps of the solver.
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
