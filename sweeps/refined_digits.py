"""The main diagram at 257 x 257: computed along its borders, inferred elsewhere.

Writes out/refined_digits/sweep.zarr and phase_diagram.png and prints the dimension of the borders.
It takes an hour on two cores, and goes on where it was if it is started again.
"""

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

axis = pj.log_axis(0.3, 300, 17)
dataset = pj.sweep(
    pj.problems.digits(),
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=1e-8),
    steps=20_000,
    refine=257,
    store="out/refined_digits/sweep.zarr",
    resume=True,
)
pj.phase_diagram(dataset).savefig("out/refined_digits/phase_diagram.png", dpi=150)
print(pj.summary(dataset))
for regime in (None, "spike", "oscillation", "divergence", "descending"):
    found = pj.border_dimension(dataset, regime)
    around = f"around {regime}" if regime else "of all borders"
    print(f"dimension {around}: {found.dimension:.2f} ± {found.error:.2f}")
