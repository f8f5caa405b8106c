"""A third kind of dynamics, made outside the package, is swept, stored, resumed and drawn."""

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import phasejax as pj
from phasejax.regimes import NAMES

from .serial import interrupt_at

BOWL = pj.problems.quadratic((1.0, 0.3), (1.0, -1.0))


class NoisyDescent(pj.Steps):
    """Gradient descent with noise drawn per step; `rule` is the pair of its hyper-parameters."""

    random = True

    def init(self, rule, params):
        return ()

    def step(self, rule, loss, params, state, key):
        learning_rate, noise = rule
        value, grads = jax.value_and_grad(loss)(params)
        drawn = noise * jax.random.normal(key, params.shape, params.dtype)
        return value, params - learning_rate * grads + drawn, state


class Map(pj.Steps):
    """A user's map from parameters to parameters; the state counts its steps."""

    def init(self, rule, params) -> Any:
        return jnp.zeros((), jnp.int32)

    def step(self, rule, loss, params, state, key):
        assert key is None  # it is not `random`
        return loss(params), rule(params), state + 1


def noisy(learning_rate, noise=0.0):
    return learning_rate, noise


def shrinking(factor):
    return lambda params: factor * params


NOISY: dict[str, Any] = {
    "problem": BOWL,
    "dynamics": NoisyDescent(noisy),
    "grid": pj.Grid(
        learning_rate=pj.log_axis(0.05, 3.0, 8), noise=pj.log_axis(1e-6, 1e-2, 6), seed=[0, 1]
    ),
    "steps": 640,
    "windows": 64,
}


def test_noise_is_drawn_per_step_and_per_seed():
    """At rest the loss is that of the stationary distribution: σ²/(1 − (1 − ηλ)²) per direction."""
    longer: dict[str, Any] = NOISY | {"steps": 64 * 400}
    dataset = pj.sweep(**longer)
    rate, noise = dataset.learning_rate.values[3], dataset.noise.values[3]
    variance = [noise**2 / (1 - (1 - rate * curvature) ** 2) for curvature in (1.0, 0.3)]
    expected = 0.5 * (1.0 * variance[0] + 0.3 * variance[1])
    late = dataset.loss_mean.isel(learning_rate=3, noise=3, window=slice(16, None))
    np.testing.assert_allclose(late.mean("window"), expected, rtol=0.05)
    one, other = late.values
    assert not np.any(one == other)


def test_without_noise_it_is_gradient_descent():
    import optax

    grid = pj.Grid(learning_rate=pj.log_axis(0.05, 3.0, 8))
    call: dict[str, Any] = {"steps": 640, "windows": 64}
    own, sgd = (pj.sweep(BOWL, how, grid, **call) for how in (NoisyDescent(noisy), optax.sgd))
    np.testing.assert_allclose(own.loss_max, sgd.loss_max, rtol=1e-12)
    np.testing.assert_array_equal(own.regime, sgd.regime)


def test_it_is_stored_cut_off_resumed_and_opened(tmp_path):
    whole = pj.sweep(**NOISY, block_size=1)
    store = tmp_path / "own.zarr"
    with pytest.raises(KeyboardInterrupt):
        pj.sweep(**NOISY, block_size=1, store=store, executor=interrupt_at(2))
    assert 0 < int((pj.open_dataset(store).status == 1).sum()) < whole.regime.size
    resumed = pj.sweep(**NOISY, block_size=1, store=store, resume=True)
    xr.testing.assert_identical(resumed.load().drop_attrs(), whole.drop_attrs())
    assert resumed.attrs["dynamics"] == "NoisyDescent"
    assert (resumed.attrs["unit"], resumed.attrs["horizon"]) == ("step", 640)
    xr.testing.assert_identical(pj.classify(resumed).regime, resumed.regime)
    louder: dict[str, Any] = NOISY | {"dynamics": Louder(noisy)}
    with pytest.raises(ValueError, match="resume = True: dynamics differs"):
        pj.sweep(**louder, store=store, block_size=1, resume=True)


class Louder(NoisyDescent):
    """The same with noise that is twice as large."""

    def step(self, rule, loss, params, state, key):
        learning_rate, noise = rule
        return super().step((learning_rate, 2 * noise), loss, params, state, key)


def test_it_is_drawn_and_told_of(tmp_path):
    dataset = pj.sweep(**NOISY)
    assert "noisy on quadratic, 640 steps" in pj.summary(dataset)
    one_seed = dataset.isel(seed=0)
    figure = pj.phase_diagram(one_seed)
    assert figure.axes[0].get_xlabel()
    page = pj.write_page(one_seed, tmp_path / "page.html")
    assert page.stat().st_size > 10_000
    assert pj.probability_diagram(dataset).axes


def test_a_map_of_the_parameters_is_followed_and_refined():
    """x → f x: the loss falls by f² per step."""
    grid = pj.Grid(factor=pj.linear_axis(0.5, 1.5, 9))
    dataset = pj.sweep(BOWL, Map(shrinking), grid, steps=640, windows=64, refine=33)
    assert dataset.sizes["factor"] == 33
    names = np.asarray(NAMES)[dataset.regime]
    assert names[0] == "converged"
    assert names[-1] == "divergence"
    path = pj.trajectory(BOWL, Map(shrinking), steps=[0, 1, 5], factor=0.5)
    np.testing.assert_allclose(path, [[1.0, -1.0], [0.5, -0.5], [1 / 32, -1 / 32]])


def test_mini_batches_are_drawn_for_it():
    inputs = np.random.default_rng(0).standard_normal((16, 3))
    problem = pj.problems.network(inputs, inputs[:, 0], hidden=(2,), batch_size=4)

    class Plain(pj.Steps):
        """Gradient descent on a network."""

        def init(self, rule, params):
            return ()

        def step(self, rule, loss, params, state, key):
            value, grads = jax.value_and_grad(loss)(params)
            return value, jax.tree.map(lambda p, g: p - rule * g, params, grads), state

    import optax

    grid = pj.Grid(learning_rate=[0.01, 0.1])
    call: dict[str, Any] = {"steps": 64, "windows": 8}
    own = pj.sweep(problem, Plain(lambda learning_rate: learning_rate), grid, **call)
    sgd = pj.sweep(problem, optax.sgd, grid, **call)
    np.testing.assert_allclose(own.loss_mean, sgd.loss_mean, rtol=1e-9)


def test_what_it_lacks_or_gets_too_much_of_is_named():
    grid = pj.Grid(learning_rate=[0.1, 0.2])
    abstract: Any = pj.Steps
    with pytest.raises(TypeError, match="abstract"):
        abstract(noisy)
    with pytest.raises(ValueError, match=r"time = 1.0: must be left out"):
        pj.sweep(BOWL, NoisyDescent(noisy), grid, time=1.0)
    with pytest.raises(ValueError, match="hyper-parameter of noisy = 'nois': unknown"):
        pj.sweep(BOWL, NoisyDescent(noisy), pj.Grid(learning_rate=[0.1, 0.2], nois=1.0))
    with pytest.raises(ValueError, match="steps = 10: must be at least windows = 64"):
        pj.sweep(BOWL, NoisyDescent(noisy), grid, steps=10, windows=64)


class Bad(Map):
    """A map whose `ended` answers what the factory says."""

    def ended(self, loss, hyper, state):
        return jnp.zeros(2, bool)


class Growing(Map):
    """A map whose state begins as an integer of Python and goes on as a float."""

    def init(self, rule, params):
        return 0

    def step(self, rule, loss, params, state, key):
        return loss(params), rule(params), state * 1.0


@pytest.mark.parametrize(
    ("dynamics", "message"),
    [
        (
            Bad(shrinking),
            r"ended must return one bool per cell; it returned bool\[2\]",
        ),
        (
            Growing(shrinking),
            r"shrinking .* starts with int64\[\] where .* float64\[\]",
        ),
    ],
)
def test_a_method_that_answers_wrongly_is_named_before_anything_runs(dynamics, message, on_advance):
    on_advance(lambda *_: pytest.fail("ran"))
    with pytest.raises(TypeError, match=message):
        pj.sweep(BOWL, dynamics, pj.Grid(factor=[0.5, 0.9]), steps=64, windows=8)


def test_the_command_line_takes_dynamics_from_a_file(tmp_path):
    """The file may use JAX while it is loaded: devices are set up before."""
    (tmp_path / "own.py").write_text(
        "import jax.numpy as jnp\nimport phasejax as pj\nHALF = jnp.asarray(0.5)\n"
        "class Map(pj.Steps):\n"
        "    def init(self, rule, params):\n        return ()\n"
        "    def step(self, rule, loss, params, state, key):\n"
        "        return loss(params), rule * params, state\n"
        "mine = Map(lambda factor: factor * HALF)\n"
    )
    command = (
        "sweep --problem quadratic --optimizer own.py:mine --axis factor=0.5:1.9:4 --steps 256"
    )
    done = subprocess.run(
        [sys.executable, "-m", "phasejax", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "4 cells" in done.stdout
