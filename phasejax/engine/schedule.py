"""Which cells of a sweep run when: all at once, or those that a refinement asks for.

A terminal shows progress.
"""

import functools
import sys
from concurrent.futures import Executor
from contextlib import closing

import numpy as np
from tqdm.auto import tqdm

from .._check import located
from ..grid import Cells, Grid
from ..identity import label
from ..results.gathered import Gathered
from ..results.store import Store
from .refinement import Refinement
from .spec import Spec
from .tasks import Job, run_here, run_on


def run_all(job: Job, results: Store, executor: Executor | None) -> list[str]:
    """Run the cells that the store lacks, here or by an executor; returns one line per failure."""
    failures: list[str] = []
    spec, computed = job.spec, results.computed()
    run_tasks = run_here if executor is None else functools.partial(run_on, executor)
    with _progress(spec) as progress:

        def run_cells(cells: Cells, results: Store | Gathered) -> None:
            missing = cells[~computed[cells]]
            progress.total += spec.horizon * len(cells)
            progress.update(spec.horizon * (len(cells) - len(missing)))
            with closing(run_tasks(job, results, missing, progress.update)) as outcomes:
                for task, error in outcomes:
                    if error is None:
                        computed[task] = True
                        progress.set_postfix_str(f"{computed.sum()}/{spec.grid.size} cells")
                    else:
                        said = located(error) or str(error) or type(error).__name__
                        failures.append(f"{_where(spec.grid, task)}: {said}")

        if not spec.refined_from:
            run_cells(np.arange(spec.grid.size), results)
            return failures
        axes = {list(spec.grid.axes).index(name): n for name, n in spec.refined_from.items()}
        refinement = Refinement(spec.grid.shape, axes)
        with Gathered(results, spec.grid.size, job.placement.slots) as gathered:
            while (cells := refinement.ask()).size:
                run_cells(cells, gathered)
                refinement.tell(cells, *gathered.labels(cells))
        results.infer(refinement.labels, refinement.asked)
    return failures


def _progress(spec: Spec) -> tqdm:
    """Show cell-steps (or time) done, their rate and the time left, on standard error.

    Only a terminal and a notebook show it. The total grows with what a refinement asks for.
    """
    steps = spec.dynamics.unit == "step"
    return tqdm(
        total=0,
        unit=f"cell-{spec.dynamics.unit}",
        unit_scale=True,
        desc=f"{spec.horizon} steps" if steps else f"time {spec.horizon:g}",
        disable=False if _in_notebook() else None,  # None: shown on a terminal only
    )


def _in_notebook() -> bool:
    """Say whether a Jupyter kernel runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _where(grid: Grid, cells: Cells) -> str:
    """Describe cells by the range of each hyper-parameter."""
    values = grid.cells(cells)
    return ", ".join(f"{name} {_span(v)}" for name, v in values.items())


def _span(values: np.ndarray) -> str:
    if values.dtype == object:
        return ", ".join(dict.fromkeys(str(label(value)) for value in values))
    return f"{values.min():g} to {values.max():g}"
