"""What a step costs an accelerator, estimated from the traced program: not measured.

`python -m benchmarks.accelerator` traces the programs of sweeps in float64, and prints for the loop
over steps: kernels per step, if every group of operations between matrix products and reductions is
one kernel, and bytes that a cell-step moves, if no kernel finds its inputs in a cache.
"""

import json
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from .network import NETS

BLOCK = 256
"""Most cells of a block."""
LOOPS = {"step": 4, "time": 3}
"""Loops around a step: blocks, windows, parts of a window, steps; or blocks, some steps, steps."""
LOOPING = {"while", "scan"}
"""Operations that are loops."""
PRODUCTS = {"dot_general", "conv_general_dilated"}
"""Operations that a library does in a kernel of its own."""
VIEWS = {"broadcast_in_dim", "reshape", "squeeze", "iota"}
"""Operations that cost nothing where their result is used."""


class Cost(NamedTuple):
    """What one step of one block costs.

    - `kernels`: matrix products, and groups of other operations between these and reductions.
    - `bytes`: per cell: the state, read and written, and what the products read and write.
    """

    kernels: int
    bytes: float


class Advance(NamedTuple):
    """The function that advances blocks of `cells` cells, and its arguments.

    `loops` is the number of loops around a step.
    """

    function: Any
    arguments: tuple
    dtype: str
    cells: int
    loops: int


def advance_of(problem: Any, dynamics: Any, grid: Any, dtype: str, **horizon: float) -> Advance:
    """What a sweep with these arguments compiles; `horizon` is `steps` or `time`."""
    from phasejax.dynamics import as_dynamics
    from phasejax.engine import kernel
    from phasejax.engine.placement import Placement
    from phasejax.engine.running import Running
    from phasejax.engine.spec import Spec

    unit = "step" if "steps" in horizon else "time"
    moving, (length,) = as_dynamics(dynamics, unit), horizon.values()
    spec = Spec(problem, moving, grid, length, 16, dtype)
    placement = Placement.here(spec, BLOCK, "given")
    with jax.enable_x64(dtype == "float64"):
        running = Running(spec, placement, np.arange(grid.size))
        edges = spec.edges.astype(dtype)
        portion = spec.dynamics.portion(edges, 1, 32)
    launch = kernel.Launch(placement.mesh, running.program, problem.objective, placement.block_size)

    compiled: Any = kernel.advance

    def function(*arguments: Any) -> Any:
        return compiled.__wrapped__(launch, *arguments)

    numbers = running._fixed, running.hyper, running.state
    arguments = (*numbers, portion, np.asarray(1, np.int32))
    return Advance(function, arguments, dtype, placement.block_size, LOOPS[unit])


def exported(advance: Advance, platform: str) -> str:
    """Lower a program for a platform; returns its StableHLO."""
    layout = jax.export.DisabledSafetyCheck.custom_call("LayoutConstraint")  # JAX's own
    with jax.enable_x64(advance.dtype == "float64"):
        lower = jax.export.export(
            jax.jit(advance.function), platforms=[platform], disabled_checks=[layout]
        )
        return lower(*advance.arguments).mlir_module()


def cost(advance: Advance) -> Cost:
    """Estimate the cost of an iteration of the innermost loop around a step."""
    with jax.enable_x64(advance.dtype == "float64"):
        body = jax.make_jaxpr(advance.function)(*advance.arguments).jaxpr
    for _ in range(advance.loops):
        body = max(_loops(body), key=lambda inner: len(inner.eqns))
    groups = _Groups()
    groups.follow(body, [0] * len(body.invars))
    # Arrays with another first axis are buffers, of which a step writes a small part in place.
    cells = (advance.cells,)
    state = sum(_bytes(x) for x in body.outvars if x.aval.shape[:1] == cells)
    moved = 2 * state + sum(groups.products)
    return Cost(len(groups.products) + len(groups.stages), moved / advance.cells)


class _Groups:
    """Follows the operations of a loop: bytes of each product, and stages with other operations.

    The stage of a value is the number of products and reductions that it must wait for.
    """

    def __init__(self) -> None:
        self.products: list[int] = []
        self.stages: set[int] = set()

    def follow(self, body: Any, inputs: list[int]) -> list[int]:
        """Return the stages of the outputs of operations, from those of their inputs."""
        stage = dict(zip(map(id, body.invars), inputs, strict=True))
        for operation in body.eqns:
            given = [stage.get(id(x), 0) for x in operation.invars]
            after = self._outputs(operation, given)
            stage |= zip(map(id, operation.outvars), after, strict=True)
        return [stage.get(id(x), 0) for x in body.outvars]

    def _outputs(self, operation: Any, given: list[int]) -> list[int]:
        name, now = operation.primitive.name, max(given, default=0)
        called = _called(operation)
        if called and name not in LOOPING:
            return self.follow(called[0], given)
        if name in PRODUCTS:
            variables = (*operation.invars, *operation.outvars)
            self.products.append(sum(map(_bytes, variables)))
        elif name not in VIEWS:
            self.stages.add(now)
        waits = name in PRODUCTS or name.startswith("reduce_")
        return [now + waits] * len(operation.outvars)


def _loops(body: Any) -> list[Any]:
    """Bodies of the loops in a program, those in called functions included."""
    found = []
    for operation in body.eqns:
        called = _called(operation)
        if operation.primitive.name in LOOPING:
            found += called[-1:]
        else:
            found += [inner for each in called for inner in _loops(each)]
    return found


def _called(operation: Any) -> list[Any]:
    """Programs among the parameters of an operation; of a loop, the body is the last."""
    values = (getattr(x, "jaxpr", x) for x in operation.params.values())
    return [x for x in values if hasattr(x, "eqns")]


def _bytes(variable: Any) -> int:
    aval = variable.aval
    return math.prod(aval.shape) * getattr(aval.dtype, "itemsize", 0)


def measure() -> dict[str, dict]:
    """Estimates for the toy, the digits and Adam's flow in float64."""
    import phasejax as pj

    axis = pj.log_axis(0.3, 300, 16)
    quadratic = pj.problems.quadratic()
    digits = pj.problems.digits(samples=NETS["digits"].samples, hidden=NETS["digits"].hidden)
    sweeps = {
        "toy": (quadratic, pj.adam, pj.Grid(a=axis, b=axis), {"steps": 1000}),
        "digits": (digits, pj.adam, pj.Grid(a=axis, b=axis), {"steps": 1000}),
        "flow": (quadratic, pj.adam_flow, pj.Grid(a=axis, b=axis, eps_root=1e-8), {"time": 20.0}),
    }
    found = {}
    for name, (problem, dynamics, grid, horizon) in sweeps.items():
        advance = advance_of(problem, dynamics, grid, "float64", **horizon)
        found[name] = cost(advance)._asdict()
    return found


if __name__ == "__main__":
    print(json.dumps(measure()))
