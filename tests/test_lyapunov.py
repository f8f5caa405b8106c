"""The largest Lyapunov exponent agrees with eigenvalues, closed forms and chaotic maps."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import phasejax as pj
from phasejax.dynamics.adam import AdamState

CURVATURES = np.array([1.0, 0.3])
BOWL = pj.problems.quadratic((1.0, 0.3), (1.0, -1.0))
SMALL: dict[str, Any] = {"steps": 640, "windows": 64, "probes": ["lyapunov"], "block_size": 4}


def swept(problem, dynamics, grid, **changed):
    return pj.sweep(problem, dynamics, grid, **SMALL | changed)


def spectral_radius(matrix):
    return np.abs(np.linalg.eigvals(matrix)).max()


def assert_agrees(dataset, expected, rounding=1e-10):
    off = np.abs(dataset.lyapunov_exponent.values.ravel() - np.ravel(expected))
    assert np.all(off <= 4 * dataset.lyapunov_error.values.ravel() + rounding)


@pytest.mark.filterwarnings("ignore:dtype = 'float32'")
def test_gradient_descent_on_a_quadratic_has_the_spectral_radius():
    rates = [0.02, 0.5, 1.5, 1.9]
    dataset = swept(BOWL, optax.sgd, pj.Grid(learning_rate=rates), dtype="float32")
    radius = [spectral_radius(np.diag(1 - rate * CURVATURES)) for rate in rates]
    assert_agrees(dataset, np.log(radius), rounding=1e-6)
    assert dataset.lyapunov_exponent.attrs["units"] == "1/step"


def test_heavy_ball_on_a_quadratic_has_the_spectral_radius():
    """With complex eigenvalues, the growth of the tangent oscillates about the exponent."""
    rates, momenta = [0.05, 1.0, 3.4], [0.3, 0.9]
    grid = pj.Grid(learning_rate=rates, momentum=momenta)
    dataset = swept(BOWL, optax.sgd, grid, steps=2560, block_size=6)
    expected = []
    for rate in rates:
        for momentum in momenta:
            step = [[[1 - rate * c, -rate * momentum], [c, momentum]] for c in CURVATURES]
            expected.append(np.log(max(map(spectral_radius, step))))
    stable = np.array(expected) < 0
    assert 4 <= stable.sum() < 6  # momentum 0.3 and rate 3.4 diverge
    assert_agrees(dataset.stack(cell=[*grid.axes]).isel(cell=stable), np.array(expected)[stable])
    assert np.all(dataset.lyapunov_error.values.ravel()[stable] < 0.01)


def test_adam_at_rest_has_the_eigenvalues_of_its_whole_step():
    """With a slow average, α is the largest of them: v's memory, not the parameters'.

    In the parameters, the largest one of them and m is seen.
    """
    rate, eps_root = 0.1, 1.0
    dataset = swept(
        BOWL,
        pj.adam,
        pj.Grid(a=[0.05, 5.0], b=5.0, learning_rate=rate, eps_root=eps_root),
        steps=6400,
    )

    @jax.jit
    @jax.jacfwd
    def jacobian(z, a):
        rule = pj.adam(a=a, b=5.0, learning_rate=rate, eps_root=eps_root)
        x, m, v = z.reshape(3, 2)
        one = jnp.ones(())
        state = AdamState(m=m, v=v, m_weight=one, v_weight=one)
        updates, state = rule.update(jax.grad(BOWL.loss)(x), state, x)
        return jnp.concatenate([x + updates, state.m, state.v])  # pyright: ignore

    with jax.enable_x64(True):
        whole = [jacobian(jnp.zeros(6), a) for a in (0.05, 5.0)]
        expected = [np.log(spectral_radius(step)) for step in whole]
        in_params = [np.log(spectral_radius(step[:4, :4])) for step in whole]
    assert expected[0] == pytest.approx(np.log(1 - 0.05 * rate))
    assert_agrees(dataset, expected, rounding=1e-6)
    np.testing.assert_allclose(dataset.lyapunov_params.values.ravel(), in_params, rtol=1e-4)
    assert expected[0] - in_params[0] > 0.02


def test_parameters_at_rest_are_told_from_a_memory_that_is_larger_by_any_factor():
    """RMSprop at rest is gradient descent with the rate η/√ε̄, while v forgets as αᵗ.

    Over 9,000 steps the two parts of the tangent come to differ by a factor of e²²⁹.
    """
    rate, a = 0.1, np.array([0.05, 0.3, 2.0])
    grid = pj.Grid(a=a, learning_rate=rate, eps_root=1.0)
    dataset = swept(BOWL, pj.rmsprop, grid, steps=9_000)
    forgets = np.log(1 - rate * CURVATURES[1])
    np.testing.assert_allclose(dataset.lyapunov_params, forgets, rtol=1e-6)
    np.testing.assert_allclose(
        dataset.lyapunov_exponent, np.maximum(np.log(1 - rate * a), forgets), rtol=1e-6
    )


def test_all_of_a_cell_that_its_parameters_see_has_one_exponent():
    """RMSprop's cycle: v drives the parameters, and the parameters v."""
    grid = pj.Grid(a=[2.0, 3.0, 5.0], learning_rate=0.1, eps=0.0)
    problem = pj.problems.quadratic((1.0,), (1.0,))
    dataset = swept(problem, pj.rmsprop, grid, steps=4000)
    alpha = 1 - 0.1 * np.array([2.0, 3.0, 5.0])
    np.testing.assert_allclose(dataset.lyapunov_params, np.log(alpha) / 2, rtol=0.01)


def test_rmsprop_cycle_attracts_by_the_root_of_alpha():
    """`phasejax.theory.rmsprop_cycle_multipliers`: the modulus over two steps is α.

    The probe changes neither labels nor losses.
    """
    grid = pj.Grid(a=[2.0, 3.0, 5.0], learning_rate=0.1, eps=0.0)
    problem = pj.problems.quadratic((1.0,), (1.0,))
    dataset = swept(problem, pj.rmsprop, grid, steps=4000)
    alpha = 1 - 0.1 * np.array([2.0, 3.0, 5.0])
    assert_agrees(dataset, np.log(alpha) / 2)
    np.testing.assert_allclose(dataset.lyapunov_exponent, np.log(alpha) / 2, rtol=0.01)
    plain = swept(problem, pj.rmsprop, grid, steps=4000, probes=[])
    np.testing.assert_array_equal(dataset.regime, plain.regime)
    np.testing.assert_allclose(dataset.loss_max, plain.loss_max, rtol=1e-9)


class Map(pj.Steps):
    """A user's map from parameters and the number of the step to parameters."""

    def init(self, rule, params):
        return jnp.zeros((), jnp.int32)

    def step(self, rule, loss, params, state, key):
        return loss(params), rule(params, state), state + 1


def logistic(r):
    return lambda x, _: r * (0.25 - (x - 0.5) ** 2)  # r x (1 − x), exactly flat at ½


def skew_tent(peak):
    return lambda x, _: jnp.where(x < peak, x / peak, (1 - x) / (1 - peak))


LINE = pj.problems.quadratic((1.0,), (0.3,))


def test_logistic_map_is_chaotic_stable_superstable_or_gone():
    """Exponents ½ ln|4 + 2r − r²| on the 2-cycle, and ln 2 at r = 4."""
    grid = pj.Grid(r=[2.0, 3.2, 4.0, 5.0])
    dataset = swept(LINE, Map(logistic), grid, steps=12_800)
    superstable, cycle, chaos, gone = dataset.lyapunov_exponent.values
    assert superstable == -np.inf
    assert cycle == pytest.approx(np.log(0.16) / 2, abs=1e-9)
    assert abs(chaos - np.log(2)) < 4 * dataset.lyapunov_error.values[2] < 0.01
    assert np.isnan(gone)
    growth = dataset.growth_rate.sel(r=5.0).values
    assert growth[0] == np.inf
    assert np.isnan(growth[1:]).all()


def test_errors_cover_the_exponents_of_skew_tent_maps():
    """λ = −c ln c − (1 − c) ln(1 − c) (the invariant density is uniform)."""
    peak = np.linspace(0.2, 0.8, 61)
    dataset = swept(LINE, Map(skew_tent), pj.Grid(peak=peak), steps=6_400, block_size=61)
    exact = -peak * np.log(peak) - (1 - peak) * np.log(1 - peak)
    off = (dataset.lyapunov_exponent.values - exact)[np.abs(peak - 0.5) > 0.05]
    scores = off / dataset.lyapunov_error.values[np.abs(peak - 0.5) > 0.05]
    assert 0.5 < np.sqrt(np.mean(scores**2)) < 1.5


def test_errors_cover_correlated_windows():
    """Rates with a memory of ten windows: the error of independent ones is 4.4 times too small."""
    random = np.random.default_rng(0)
    rates = random.standard_normal((400, 456))
    for window in range(1, 456):
        rates[:, window] += 0.9 * rates[:, window - 1]
    measured = {"growth_rate": rates[:, 200:], "growth_rate_params": rates[:, 200:]}
    described = pj.probes.Lyapunov().describe(measured, np.arange(257))
    scores = described["lyapunov_exponent"] / described["lyapunov_error"]
    assert 0.7 < np.sqrt(np.mean(scores**2)) < 1.8


def test_a_direction_that_vanished_is_found_again():
    """The first parameter contracts until its tangent underflows, and is chaotic from then on.

    The third stays at zero, where its map has no derivative.
    """

    def late(factor):
        def move(x, step):
            first = jnp.where(step < 1_500, factor * x[0] + 0.2, 4 * x[0] * (1 - x[0]))
            return jnp.stack([first, 0.9 * x[1] + 0.05, x[2] ** 0.5])

        return move

    problem = pj.problems.quadratic((1.0, 0.3, 0.1), (0.3, 0.3, 0.0))
    dataset = swept(problem, Map(late), pj.Grid(factor=[0.5, 0.4]), steps=12_800)
    assert_agrees(dataset, np.full(2, np.log(2)))


def test_moments_of_zero_have_no_tangent():
    """At a minimum from the start, v = 0: Adam is gradient descent with the rate η/ε, averaged."""
    rate, beta = 0.1, 0.5

    def adam(eps):
        return optax.adam(rate, b1=beta, b2=0.9, eps=eps)

    def loss(x):
        return 1 + 0.5 * jnp.sum(jnp.asarray(CURVATURES) * x**2)

    problem = pj.Problem(loss, lambda key: jnp.zeros(2), "rest")
    dataset = swept(problem, adam, pj.Grid(eps=[0.5, 0.01]))
    expected = []
    for e in (0.5, 0.01):
        step = [
            [[1 - rate / e * (1 - beta) * c, -rate / e * beta], [(1 - beta) * c, beta]]
            for c in CURVATURES
        ]
        expected.append(np.log(max(map(spectral_radius, step))))
    assert expected[0] < 0 < expected[1]
    assert_agrees(dataset, expected, rounding=1e-6)


def test_a_parameter_without_gradient_is_a_neutral_direction():
    problem = pj.problems.quadratic((1.0, 0.0), (1.0, 1.0))
    grid = pj.Grid(a=[1.0, 5.0], b=5.0, learning_rate=0.1, eps=1.0)
    assert_agrees(swept(problem, pj.adam, grid), [0.0, 0.0])


def test_a_relu_network_with_mini_batches_has_finite_rates():
    inputs = np.random.default_rng(0).standard_normal((16, 3))
    problem = pj.problems.network(inputs, inputs[:, 0], hidden=(4,), batch_size=4)
    grid = pj.Grid(learning_rate=[1e-2, 1e-1], momentum=[0.0, 0.5])
    dataset = swept(problem, optax.sgd, grid, steps=256)
    assert np.isfinite(dataset.growth_rate.values).all()
    assert (dataset.lyapunov_error > 0).all()


def test_cells_that_ended_have_the_same_exponent_wherever_they_run(short_segments):
    """A cell at rest may free its slot, which depends on the block size."""
    grid = pj.Grid(learning_rate=[0.1, 0.9, 1.1])
    alone, together = (swept(BOWL, optax.sgd, grid, steps=6400, block_size=size) for size in (1, 3))
    assert np.isnan(alone.growth_rate).any()
    np.testing.assert_allclose(alone.growth_rate, together.growth_rate, rtol=1e-9)
    np.testing.assert_allclose(alone.lyapunov_exponent, np.log([0.97, 0.73, 0.67]), rtol=1e-9)
