"""How sure a regime is: Adam on the digits from six starting points, with and without mini-batches.

Writes out/seeds/full.zarr and batches.zarr, and a diagram of probabilities and entropy beside each;
seven minutes on two cores.
"""

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

axis = pj.log_axis(0.3, 300, 12)
for name, batch_size in (("full", None), ("batches", 16)):
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
