"""Programs of sweeps, lowered for accelerators that this machine does not have."""

import re

import jax
import optax
import pytest

import phasejax as pj
from benchmarks.accelerator import advance_of, cost, exported

AXIS = pj.log_axis(1, 100, 4)
GRID = pj.Grid(a=AXIS, b=AXIS)
TEACHER = pj.problems.digits(samples=32, hidden=(8,), batch_size=8)
TALK = {"infeed", "outfeed", "send", "recv"}
"""Operations by which a program talks to its host; others are functions that it calls by name."""
ON_DEVICE = re.compile("LayoutConstraint|(cu|hip)(solver)?_")
"""Names of functions that stay on the device; the flows' linear solver calls some."""


def talks(program):
    """Names of what a program asks of its host."""
    operations = set(re.findall(r"stablehlo\.(\w+)", program))
    called = set(re.findall(r"custom_call @(\w+)", program))
    return (operations & TALK) | {name for name in called if not ON_DEVICE.match(name)}


def adamw(learning_rate):
    return optax.adamw(learning_rate)


SWEEPS = {
    "toy": (pj.problems.quadratic(), pj.adam, GRID, {"steps": 320}),
    "rmsprop": (pj.problems.rosenbrock(), pj.rmsprop, pj.Grid(a=AXIS), {"steps": 320}),
    "mini-batches": (TEACHER, adamw, pj.Grid(learning_rate=AXIS), {"steps": 320}),
    "flow": (pj.problems.quadratic(), pj.adam_flow, GRID, {"time": 20.0}),
    "stiff flow": (
        pj.problems.digits(samples=32, hidden=(8,), activation="tanh"),
        pj.Flow(pj.adam_flow, solver="kvaerno5"),
        GRID,
        {"time": 2.0},
    ),
}


@pytest.mark.parametrize(
    ("platform", "dtype"),
    [("cuda", "float64"), ("cuda", "float32"), ("rocm", "float64"), ("tpu", "float32")],
)
@pytest.mark.parametrize("name", SWEEPS)
def test_a_program_lowers_for_an_accelerator_and_never_asks_its_host(name, platform, dtype):
    problem, dynamics, grid, horizon = SWEEPS[name]
    if "time" in horizon and dtype == "float32":
        pytest.skip("flows need float64")
    program = exported(advance_of(problem, dynamics, grid, dtype, **horizon), platform)
    assert "stablehlo.while" in program
    assert not talks(program)
    wide = "f64" if dtype == "float32" else "f32"
    assert f"x{wide}>" not in program  # no array of the other precision, so no slow conversions


def test_a_loss_that_calls_its_host_does_not_lower():
    def loss(params):
        jax.debug.callback(lambda x: None, params[0])
        return (params**2).sum()

    problem = pj.Problem(loss, lambda key: jax.numpy.ones(2))
    advance = advance_of(problem, pj.adam, GRID, "float64", steps=320)
    with pytest.raises(ValueError, match="lowering platform cuda"):
        exported(advance, "cuda")


def test_kernels_and_bytes_of_known_programs():
    problem = pj.problems.quadratic()
    grid = pj.Grid(learning_rate=AXIS)
    toy = cost(advance_of(problem, optax.sgd, grid, "float64", steps=320))
    wide = cost(advance_of(problem, optax.sgd, grid, "float32", steps=320))
    net = pj.problems.digits(samples=32, hidden=(8,))
    network = cost(advance_of(net, optax.sgd, grid, "float64", steps=320))
    assert toy.kernels == 2  # the loss is a sum, and the rest of the step
    assert toy.bytes / 2 <= wide.bytes < toy.bytes
    assert network.kernels >= 5  # products: two forward, three backward
    parameters = 64 * 8 + 8 + 8 + 1
    assert network.bytes > 2 * 8 * parameters
