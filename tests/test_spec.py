"""The specification of a sweep and its placement: compared, printed, pickled, chosen visibly."""

import dataclasses
import pickle
import subprocess
import sys

import cloudpickle
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import phasejax as pj
from phasejax.engine.placement import Placement
from phasejax.engine.spec import Spec
from phasejax.engine.tuning import choose_placement


def spec(dynamics=pj.adam, **changed):
    """The specification of a small sweep."""
    arguments = {
        "problem": pj.problems.quadratic(),
        "dynamics": pj.Optimizer.of(dynamics),
        "grid": pj.Grid(a=[1.0, 10.0], b=[1.0, 10.0]),
        "horizon": 640,
        "windows": 64,
        "dtype": "float64",
    }
    return Spec(**arguments | changed)


def test_equal_ones_compute_the_same():
    assert spec() == spec()
    assert hash(spec()) == hash(spec())
    others = [
        spec(problem=pj.problems.quadratic((7.0, 1.0))),
        spec(grid=pj.Grid(a=[1.0, 11.0], b=[1.0, 10.0])),
        spec(grid=pj.Grid(a=[1.0, 10.0], b=[1.0, 10.0], eps=1e-3)),
        spec(horizon=641),
        spec(windows=32),
        spec(dtype="float32"),
        spec(refined_from={"a": 2}),
        spec(dynamics=lambda a, b: optax.adam(1e-3)),
    ]
    assert len({spec(), *others}) == 1 + len(others)


def test_it_is_printed_in_one_line():
    text = repr(spec())
    assert "\n" not in text
    for part in ("Problem(quadratic", "adam", "Grid(a=", "horizon=640", "dtype='float64'"):
        assert part in text


@pytest.mark.parametrize("package", [pickle, cloudpickle])
def test_a_pickle_is_the_arguments_alone(package):
    """What a process derived, traces and starting points, is derived again by another one."""
    fresh, used = spec(), spec()
    used.check()
    packed = package.dumps(used)
    assert len(packed) == len(package.dumps(fresh))
    again = package.loads(packed)
    assert vars(again).keys() == {field.name for field in dataclasses.fields(Spec)}
    assert again == used


def test_it_knows_no_device():
    """Another number of devices is another placement of the same specification."""
    script = (
        "import sys, pickle, jax; import phasejax as pj\n"
        "jax.config.update('jax_num_cpu_devices', 5)\n"
        "from phasejax.engine.tuning import choose_placement\n"
        "spec = pickle.loads(sys.stdin.buffer.read())\n"
        "sys.stdout.buffer.write(pickle.dumps((spec.digest, choose_placement(spec))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(spec()), capture_output=True, check=True
    )
    digest, placement = pickle.loads(done.stdout)
    assert digest == spec().digest
    assert placement.devices == 5
    assert isinstance(placement, Placement)
    with pytest.raises(RuntimeError, match="was placed on 5 x cpu cpu: give all workers the same"):
        _ = placement.mesh


def test_the_placement_distributes_and_compacts():
    placement = choose_placement(spec(grid=pj.Grid(a=np.arange(1.0, 12.0), b=[1.0, 2.0])), 3)
    slots = placement.distribute(np.arange(22))
    assert len(slots) == placement.slots
    assert slots.reshape(placement.devices, -1).shape[1] % placement.block_size == 0
    np.testing.assert_array_equal(np.sort(slots[slots >= 0]), np.arange(22))
    kept = np.array([7, 3, 20])
    order = placement.compact(kept)
    np.testing.assert_array_equal(np.sort(order), np.arange(placement.slots))
    per_device = order.reshape(placement.devices, -1)
    front = [row[: len(share)] for row, share in
             zip(per_device, np.array_split(kept, placement.devices), strict=True)]  # fmt: skip
    np.testing.assert_array_equal(np.concatenate(front), kept)
    assert [placement.blocks_for(n) for n in (0, 1, 3 * placement.devices)] == [0, 1, 1]
    assert placement.blocks_for(3 * placement.devices + 1) == 2


def test_more_seeds_do_not_trace_a_loss_again():
    calls = []

    def loss(x):
        calls.append(1)
        return jnp.sum(x**2)

    def traces(seeds):
        calls.clear()
        problem = pj.Problem(loss, lambda key: jax.random.normal(key, (2,)))
        pj.sweep(problem, pj.adam, pj.Grid(a=1.0, b=1.0, seed=seeds), steps=16, windows=8)
        return len(calls)

    few, many = [0, 1], [0, 1, 2, 3, 4, 5]
    for seeds in (few, many):
        traces(seeds)  # compiles
    assert traces(few) == traces(many)
