"""The main diagram at 65 x 65 or finer: computed along its borders, inferred elsewhere.

`python sweeps/refined_digits.py [COUNT]` writes out/refined_digits/COUNT.zarr and COUNT.png. For a
COUNT of 129 or more it also prints the dimension of the borders. On two cores, 65 x 65 cells take
about four minutes, 257 x 257 cells half an hour to an hour. Started again, it resumes.
"""

import sys

import phasejax as pj

pj.use_all_cores()
pj.use_compilation_cache()

count = int(sys.argv[1]) if sys.argv[1:] else 65
axis = pj.log_axis(0.3, 300, 17)
dataset = pj.sweep(
    pj.problems.digits(),
    pj.adam,
    pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=1e-8),
    steps=20_000,
    refine=count,
    store=f"out/refined_digits/{count}.zarr",
    resume=True,
)
pj.phase_diagram(dataset).savefig(f"out/refined_digits/{count}.png", dpi=150)
print(pj.summary(dataset))
borders = (None, "spike", "oscillation", "divergence", "descending") if count >= 129 else ()
for regime in borders:
    found = pj.border_dimension(dataset, regime)
    around = f"around {regime}" if regime else "of all borders"
    print(f"dimension {around}: {found.dimension:.2f} ± {found.error:.2f}")
