"""Probability of each regime: Adam on the digits from six starting points.

`python sweeps/seeds_digits.py` uses all samples and writes out/seeds/full.zarr and full.png.
`python sweeps/seeds_digits.py 16` uses mini-batches of 16 samples and writes batches_16.zarr and
batches_16.png. The pictures show probabilities and entropy. Each takes about three minutes on two
cores.
"""

import sys

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

batch_size = int(sys.argv[1]) if sys.argv[1:] else None
name = f"batches_{batch_size}" if batch_size else "full"
axis = pj.log_axis(0.3, 300, 12)
dataset = pj.sweep(
    pj.problems.digits(batch_size=batch_size),
    pj.adam,
    pj.Grid(a=axis, b=axis, seed=[0, 1, 2, 3, 4, 5], learning_rate=1e-3, eps=1e-8),
    steps=20_000,
    store=f"out/seeds/{name}.zarr",
    overwrite=True,
)
pj.probability_diagram(dataset).savefig(f"out/seeds/{name}.png", dpi=150)
entropy = float(pj.regime_probabilities(dataset)["entropy"].mean())
print(pj.summary(dataset))
print(f"{name}: mean entropy {entropy:.2f} bits")
