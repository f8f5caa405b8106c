"""Adam's flow on a quadratic, compared with Adam: which regimes are due to the finite step.

Writes out/flow_quadratic/flow.zarr, adam.zarr and comparison.png: both diagrams, the cells in which
they differ, and the line above which Adam cannot follow the flow, by theory.
"""

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

axis = pj.log_axis(0.3, 300, 32)
problem = pj.problems.quadratic(spectrum=(1.0, 0.1), start=(1.0, 1.0))
epsilon = {"eps": 0.0, "eps_root": 1e-8}  # inside the root, as in the paper's flow
flow = pj.sweep(
    problem,
    pj.adam_flow,
    pj.Grid(a=axis, b=axis, **epsilon),
    time=20.0,
    store="out/flow_quadratic/flow.zarr",
    overwrite=True,
)
adam = pj.sweep(
    problem,
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1 / 300, **epsilon),
    steps=6_000,  # the same time
    store="out/flow_quadratic/adam.zarr",
    overwrite=True,
)
figure = pj.comparison(flow, adam)
figure.savefig("out/flow_quadratic/comparison.png", dpi=100)
print(pj.summary(flow))
print(pj.summary(adam))
