"""The main phase diagram: Adam on two handwritten digits, with a small relu network.

Writes out/digits/sweep.zarr, phase_diagram.png and phase_diagram.html. `make sweep` runs it.
"""

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

values = [10 ** (k / 8) for k in range(-4, 20)]  # 0.32 to 237; 1, 10 and 100 are among them
dataset = pj.sweep(
    pj.problems.digits(),
    pj.adam,
    pj.Grid(a=values, b=values, learning_rate=1e-3, eps=1e-8),
    steps=20_000,
    store="out/digits/sweep.zarr",
    overwrite=True,
)
pj.phase_diagram(dataset).savefig("out/digits/phase_diagram.png", dpi=150)
pj.write_page(dataset, "out/digits/phase_diagram.html")
print(pj.summary(dataset))
for a, b in [(1, 100), (10, 10), (100, 1)]:
    print(f"(a, b) = ({a}, {b}):", pj.cell(dataset, {"a": a, "b": b})["regime"])
