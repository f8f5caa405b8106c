"""Statements of theory against closed forms and against runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import phasejax as pj
from phasejax import theory

from .fuzzing import properties

ETA = 1e-3
positive = st.floats(0.01, 10)


def on_quadratic(curvatures, start, time):
    """Loss of the signGD flow: each coordinate goes to zero at unit speed and stays."""
    x = np.maximum(np.abs(start) - time[:, None], 0)
    return 0.5 * (x**2 @ curvatures)


@properties
@given(
    quadratic=st.lists(st.tuples(positive, st.floats(-3, 3)), min_size=1, max_size=6).filter(
        lambda pairs: any(abs(x) > 1e-3 for _, x in pairs)
    )
)
def test_bound_of_the_signgd_flow_holds_on_strongly_convex_quadratics(quadratic):
    curvatures, start = np.array(quadratic).T
    time = np.linspace(0, 4, 400)
    loss = on_quadratic(curvatures, start, time)
    mu = 2 * curvatures.min()
    assert np.all(loss <= theory.signgd_bound(loss[0], mu, time) + 1e-12 * loss[0])
    assert np.all(loss[time >= theory.signgd_extinction_time(loss[0], mu)] <= 1e-12 * loss[0])


def test_bound_of_the_signgd_flow_is_sharp_so_that_twice_mu_is_too_much():
    time = np.linspace(0, 1, 100)
    loss = on_quadratic(np.array([1.0]), np.array([1.0]), time)
    np.testing.assert_allclose(theory.signgd_bound(0.5, 2.0, time), loss, atol=1e-15)
    assert theory.signgd_extinction_time(0.5, 2.0) == pytest.approx(1)
    assert not np.all(loss <= theory.signgd_bound(0.5, 4.0, time) + 1e-12)


def wavy(x):
    """x² + 3 sin² x, of Karimi et al. (2016): not convex, with one minimum."""
    return x**2 + 3 * np.sin(x) ** 2


def pl_constant_of_wavy():
    """Its largest μ with f'² ≥ μ f, on a fine grid; Karimi et al. show μ ≥ 1/16."""
    x = np.linspace(1e-3, 30, 300_001)
    slope = 2 * x + 3 * np.sin(2 * x)
    assert slope.min() > 0
    assert (2 + 6 * np.cos(2 * x)).min() < 0
    return (slope**2 / wavy(x)).min()


@properties
@given(start=st.floats(0.05, 20))
def test_bound_holds_without_convexity(start):
    """The gradient has one zero, so that |x| falls at unit speed."""
    mu = pl_constant_of_wavy()
    assert mu > 1 / 16
    time = np.linspace(0, start, 500)
    falling = wavy(start - time)
    assert np.all(falling <= theory.signgd_bound(falling[0], mu, time) + 1e-12 * falling[0])


def test_bound_fails_without_convexity_if_mu_is_doubled():
    """Where f'² / f is least, the loss falls as fast as the bound for an instant."""
    mu = pl_constant_of_wavy()
    x = np.linspace(1e-3, 30, 300_001)
    start = x[((2 * x + 3 * np.sin(2 * x)) ** 2 / wavy(x)).argmin()]
    time = np.linspace(0, 1e-3, 10)
    falling = wavy(start - time)
    assert np.all(falling <= theory.signgd_bound(falling[0], mu, time) + 1e-12)
    assert not np.all(falling <= theory.signgd_bound(falling[0], 2 * mu, time) + 1e-12)


@pytest.mark.parametrize("k", [2, 1.5])
def test_bound_holds_along_the_flow_itself(k):
    """A run of signgd_flow with its small ε, on problems with a PL constant."""
    problem = pj.problems.quadratic((2.0, 0.4, k), (1.0, -0.8, 0.5))
    loss = pj.sweep(problem, pj.signgd_flow, pj.Grid(eps=[1e-8, 1e-6]), time=2.0).loss_max
    assert problem.pl_constant is not None
    for row in loss.values:
        bound = theory.signgd_bound(row[0], problem.pl_constant, loss.time.values)
        assert np.all(row <= bound * (1 + 1e-6) + 1e-11)


def rmsprop_on_parabola(alpha, steps, x=0.7):
    """x and v of pj.rmsprop on x²/2 with ε = 0, `[steps]` each."""
    optimizer = pj.rmsprop(a=(1 - alpha) / ETA, learning_rate=ETA, eps=0.0)

    def step(carry, _):
        x, state = carry
        update, state = optimizer.update(x, state)
        return (x + update, state), x

    with jax.enable_x64(True):
        x = jnp.asarray(x)
        _, path = jax.lax.scan(step, (x, optimizer.init(x)), length=steps)
        return np.asarray(path)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99])
def test_rmsprop_ends_on_the_cycle_and_contracts_as_its_jacobian_says(alpha):
    """Period two, ±η/2, to rounding; two steps shrink the distance by the modulus."""
    path = rmsprop_on_parabola(alpha, 40_000)
    np.testing.assert_allclose(np.abs(path[-10:]), ETA / 2, rtol=1e-12)
    np.testing.assert_allclose(path[-8:], path[-10:-2], rtol=1e-12)
    modulus = np.abs(theory.rmsprop_cycle_multipliers(alpha)).max()
    assert modulus == pytest.approx(alpha if alpha > 1 / 9 else 0.25, abs=0.01)
    distance = np.abs(np.abs(path[::2]) - ETA / 2)
    near = np.flatnonzero((distance < 1e-3 * ETA) & (distance > 1e-10 * ETA))
    near = near[near >= near[distance[near].argmax()]]
    rate = np.polyfit(near, np.log(distance[near]), 1)[0]
    assert np.exp(rate) == pytest.approx(modulus, rel=0.08)


@pytest.mark.parametrize("alpha", [0.9, 0.95, 0.98, 0.99])
def test_before_its_cycle_rmsprop_falls_by_the_decades_of_theory(alpha):
    """To within two or three decades; then it grows back to the cycle."""
    path = np.abs(rmsprop_on_parabola(alpha, 40_000))
    depth = np.log10(ETA / path.min())
    assert depth == pytest.approx(theory.rmsprop_descent_depth(alpha), abs=3)
    assert path[-1] == pytest.approx(ETA / 2, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.994, 0.999])
def test_near_to_one_rmsprop_falls_below_the_smallest_number_and_stays_at_zero(alpha):
    assert theory.rmsprop_descent_depth(alpha) > 305
    path = rmsprop_on_parabola(alpha, 40_000)
    assert np.all(path[-100:] == 0)
    assert np.all(path[:600] != 0)


@pytest.mark.parametrize("alpha", [0.05, 0.3, 0.7, 0.97])
def test_multipliers_are_those_of_the_twice_iterated_map(alpha):
    def twice(z):
        for _ in range(2):
            v = alpha * z[1] + (1 - alpha) * z[0] ** 2
            z = jnp.array([z[0] - ETA * z[0] / jnp.sqrt(v), v])
        return z

    with jax.enable_x64(True):
        jacobian = jax.jacfwd(twice)(jnp.array([ETA / 2, ETA**2 / 4]))
    expected = np.sort_complex(np.linalg.eigvals(np.asarray(jacobian)))
    found = np.sort_complex(theory.rmsprop_cycle_multipliers(alpha))
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("alpha", [0.05, 0.3, 0.7, 0.97])
def test_floquet_multipliers_of_rmsprop_are_those_of_the_closed_form(alpha):
    def step(z):
        v = alpha * z[1] + (1 - alpha) * z[0] ** 2
        return jnp.stack([z[0] - ETA * z[0] / jnp.sqrt(v), v])

    found = theory.floquet_multipliers(step, ETA / 2 * np.array([[1, ETA / 2], [-1, ETA / 2]]))
    expected = theory.rmsprop_cycle_multipliers(alpha)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), atol=1e-9)
    real = alpha < 1 / 9
    assert theory.way_out(found) == ("fold or pitchfork" if real else "Neimark-Sacker")


@pytest.mark.parametrize("eta", [0.01, 0.3])
def test_floquet_multipliers_of_gradient_descent_on_quartics(eta):
    """At x = ±√(2/η) on x⁴/4: (−5)². At x² = 1 + 2/η on (x² − 1)²/4: (5 + 2η)²."""
    for slope, square, expected in (
        (lambda x: x**3, 2 / eta, 25),
        (lambda x: x * (x**2 - 1), 1 + 2 / eta, (5 + 2 * eta) ** 2),
    ):
        cycle = [square**0.5, -(square**0.5)]
        found = theory.floquet_multipliers(lambda x, slope=slope: x - eta * slope(x), cycle)
        assert found.dtype == complex
        np.testing.assert_allclose(found, [expected], rtol=1e-12)


def logistic_cycle(r, period):
    """The logistic map, and its cycle, by iteration."""
    x = 0.4
    for _ in range(20_000):
        x = r * x * (1 - x)
    points = [x]
    for _ in range(period - 1):
        points.append(r * points[-1] * (1 - points[-1]))
    return lambda x: r * x * (1 - x), points


@pytest.mark.parametrize("r", [3.01, 3.2, 3.44])
def test_floquet_multiplier_of_the_logistic_maps_two_cycle(r):
    """4 + 2r − r², from +1 at r = 3, where it is born, to −1 at 1 + √6, where it flips."""
    found = theory.floquet_multipliers(*logistic_cycle(r, 2))
    np.testing.assert_allclose(found, [4 + 2 * r - r**2], rtol=1e-9)
    assert theory.way_out(found) == ("flip" if r > 1 + 5**0.5 else "fold or pitchfork")


def test_the_logistic_maps_cycle_of_three_begins_in_a_fold():
    """At r = 1 + √8 its multiplier is 1."""
    found = theory.floquet_multipliers(*logistic_cycle(1 + 8**0.5 + 1e-6, 3))
    assert 0.98 < found[0].real < 1
    assert theory.way_out(found) == "fold or pitchfork"


def test_jacobians_are_multiplied_in_the_order_of_the_cycle():
    """A map of two parameters whose Jacobians do not commute, on a cycle of three."""
    points = np.array([[0.0, 1.0], [2.0, 0.5], [1.0, -1.0]])
    random = np.random.default_rng(0)
    jacobians = random.normal(size=(3, 2, 2))

    def step(z):
        place = jnp.argmin(jnp.abs(jnp.asarray(points) - z).sum(-1))
        following = jnp.asarray(np.roll(points, -1, axis=0))[place]
        return following + jnp.asarray(jacobians)[place] @ (z - jnp.asarray(points)[place])

    expected = np.linalg.eigvals(jacobians[2] @ jacobians[1] @ jacobians[0])
    found = theory.floquet_multipliers(step, points)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), rtol=1e-9)


def test_jacobian_of_the_rmsprop_flow_is_that_of_the_linearization():
    """Of `pj.rmsprop_flow` next to the minimum; at v = 0 itself √v has no derivative."""
    hessian, a, eps = np.array([[2.0, 0.3], [0.3, 1.0]]), 3.0, 1e-2

    def flow(z):
        x, v = z[:2], z[2:]
        return jnp.concatenate(pj.rmsprop_flow(a, eps).velocity(0.0, hessian @ x, v))

    with jax.enable_x64(True):
        found = jax.jacfwd(flow)(jnp.array([0.0, 0.0, 1e-30, 1e-30]))
    np.testing.assert_allclose(found, theory.rmsprop_flow_jacobian(hessian, a, eps), rtol=1e-9)


@pytest.mark.parametrize(("ratio", "stable"), [(1.9, True), (2.1, False)])
def test_discrete_rmsprop_follows_its_linearization_only_below_the_threshold(ratio, stable):
    """For ηλ/ε just below 2 a step near the minimum contracts; just above 2 it grows."""
    eps, curvature = 0.1, 4.0
    eta = ratio * eps / curvature
    assert (curvature < theory.rmsprop_largest_curvature(eta, eps)) == stable
    problem = pj.problems.quadratic((curvature,), (1e-6,))
    grid = pj.Grid(a=[1.0], learning_rate=[eta], eps=eps)
    loss = pj.sweep(problem, pj.rmsprop, grid, steps=256, windows=8).loss_max.values.ravel()
    assert (loss[-1] < loss[0]) == stable


@pytest.mark.parametrize(("factor", "stable"), [(0.95, True), (1.05, False)])
@pytest.mark.parametrize("b1", [0.0, 0.5, 0.9])
def test_frozen_adam_is_stable_below_its_threshold(b1, factor, stable):
    """Momentum m ← βm + (1 − β)λx, x ← x − ηm, with the preconditioner held at 1."""
    eta = 0.1
    curvature = factor * theory.adam_largest_curvature(eta, b1)
    step = np.array(
        [[1 - eta * (1 - b1) * curvature, -eta * b1], [(1 - b1) * curvature, b1]]
    )  # in (x, m)
    assert (np.abs(np.linalg.eigvals(step)).max() < 1) == stable


LINEAR = {  # one step of (x, m) on s x²/2 with learning rate 1
    "none": lambda s, b: [[1 - s, 0], [0, 0]],
    "ema": lambda s, b: [[1 - (1 - b) * s, -b], [(1 - b) * s, b]],
    "heavy_ball": lambda s, b: [[1 - s, -b], [s, b]],
    "nesterov": lambda s, b: [[1 - s - b * s, -(b**2)], [s, b]],
    "ema_nesterov": lambda s, b: [[1 - (1 - b**2) * s, -(b**2)], [(1 - b) * s, b]],
}


@pytest.mark.parametrize("momentum", LINEAR)
def test_momentum_is_stable_up_to_its_threshold(momentum):
    """The spectral radius of the linear recursion passes 1 there: by bisection."""
    beta = np.array([0.0, 0.3, 0.9, 0.99])
    low, high = np.zeros(4), np.full(4, 1000.0)
    for _ in range(60):
        middle = (low + high) / 2
        pairs = zip(middle, beta, strict=True)
        steps = np.array([LINEAR[momentum](s, b) for s, b in pairs])
        stable = np.abs(np.linalg.eigvals(steps)).max(-1) < 1
        low, high = np.where(stable, middle, low), np.where(stable, high, middle)
    found = theory.sharpness_threshold(momentum, beta, 0.01)
    np.testing.assert_allclose(found, low / 0.01, rtol=1e-6)


def test_thresholds_broadcast_and_adams_is_that_of_an_average():
    found = np.asarray(theory.sharpness_threshold("ema", [[0.5], [0.9]], [0.1, 0.2, 0.4]))
    np.testing.assert_allclose(
        found, theory.adam_largest_curvature([0.1, 0.2, 0.4], [[0.5], [0.9]])
    )
    assert found.shape == (2, 3)
    assert found[1, 0] == pytest.approx(380)


@pytest.mark.parametrize(("factor", "stable"), [(0.97, True), (1.03, False)])
def test_adam_comes_to_rest_below_its_border_as_its_flow_does(factor, stable):
    """Near the minimum, where v is zero, Adam's step contracts or grows."""
    eta, curvature, eps_root = 1e-2, 4.0, 1e-4
    b = factor * theory.adam_border(curvature, eta, eps_root)
    problem = pj.problems.quadratic((curvature,), (1e-9,))
    grid = pj.Grid(a=[1.0], b=b, learning_rate=eta, eps=0.0, eps_root=eps_root)
    loss = pj.sweep(problem, pj.adam, grid, steps=512, windows=8).loss_max.values.ravel()
    assert (loss[-1] < loss[0]) == stable
    flow = pj.Flow(pj.adam_flow, atol=1e-20)
    grid = pj.Grid(a=[1.0], b=b, eps_root=eps_root)
    loss = pj.sweep(problem, flow, grid, time=512 * eta, windows=8).loss_max.values.ravel()
    assert loss[-1] < 1e-3 * loss[0]


def test_border_of_powers():
    assert theory.power_border(3.0, 4) == pytest.approx(3.0)
    np.testing.assert_allclose(theory.power_border([1.0, 2.0], 6), [0.75, 1.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.signgd_bound(1.0, 0.0, 1.0), "pl_constant = 0.0"),
        (lambda: theory.rmsprop_cycle_multipliers(1.0), "alpha = 1.0"),
        (lambda: theory.rmsprop_largest_curvature(-1, 1), "learning_rate = -1"),
        (lambda: theory.adam_largest_curvature(0.1, 1.0), "b1 = 1.0"),
        (lambda: theory.power_border(1.0, 2), "k = 2"),
        (lambda: theory.sharpness_threshold("ema", 1.0, 0.1), "beta = 1.0"),
        (lambda: theory.sharpness_threshold("ema", 0.9, 0.0), "learning_rate = 0.0"),
        (lambda: theory.sharpness_threshold("emma", 0.9, 0.1), "momentum = 'emma': .*'ema'"),
        (lambda: theory.floquet_multipliers(lambda x: -x, [1.0, -0.9]), r"cycle\[0\] = "),
        (lambda: theory.rmsprop_descent_depth(1.0), "alpha = 1.0"),
        (lambda: theory.adam_border(1.0, 0.0, 1e-8), "learning_rate = 0.0"),
        (lambda: theory.rmsprop_flow_jacobian(np.eye(2), 1.0, 0.0), "eps = 0.0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
