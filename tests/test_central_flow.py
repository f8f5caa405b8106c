"""Central and stable flows: against known answers, plain NumPy, and the optimizers they average."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg
import scipy.optimize

import phasejax as pj
from phasejax.dynamics.complementarity import solve

SLOPE = 0.01
ONE: dict[str, Any] = {"steps": 400, "windows": 8, "block_size": 1}


def valley(start=(0.0, 1.0)):
    """½x²y² − cy: the sharpness y² grows along the valley x = 0."""
    return pj.Problem(
        lambda p: 0.5 * p[0] ** 2 * p[1] ** 2 - SLOPE * p[1], lambda key: jnp.array(start), "valley"
    )


def test_a_quartic_valley_is_held_at_the_edge_by_the_known_variance():
    """At the edge y² = 2/η, and dy/dt = η(c − yΣ) = 0."""
    rate = 0.5
    flow = pj.sweep(valley(), pj.central_flow(optax.sgd, 1), pj.Grid(learning_rate=[rate]), **ONE)
    late = flow.squeeze().isel(window=-1)
    edge = np.sqrt(2 / rate)
    np.testing.assert_allclose(late.flow_edge_ratio, 1, rtol=1e-6)
    np.testing.assert_allclose(late.flow_variance, SLOPE / edge, rtol=1e-5)
    np.testing.assert_allclose(late.flow_loss, -SLOPE * edge, rtol=1e-6)
    np.testing.assert_allclose(late.loss_mean, -SLOPE * edge + SLOPE / (rate * edge), rtol=1e-5)
    assert late.flow_directions == 1


def test_below_the_edge_central_and_stable_flow_are_gradient_flow():
    """Gradient flow by the package's own solver, in the time ηk; Euler's error is of order η/8."""
    problem, rate, steps = pj.problems.deep_linear(), 1e-3, 400
    grid = pj.Grid(learning_rate=[rate])
    run: dict[str, Any] = {"steps": steps, "windows": 8, "block_size": 1}
    central = pj.sweep(problem, pj.central_flow(optax.sgd, 1), grid, **run)
    stable = pj.sweep(problem, pj.stable_flow(optax.sgd), grid, **run)
    np.testing.assert_allclose(central.loss_mean, stable.loss_mean, rtol=1e-12)
    ends = pj.trajectory(problem, pj.stable_flow(optax.sgd), steps=[steps], learning_rate=rate)
    exact = pj.trajectory(problem, gradient_flow, times=[rate * steps], scale=1.0)
    for one, other in zip(ends, exact, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-4)
        assert np.abs(one - other).max() > 0


def gradient_flow(scale):
    return pj.VectorField(
        lambda params: (), lambda time, grads, state: ([-scale * g for g in grads], ())
    )


@pytest.mark.parametrize("side", [1, 2, 3])
def test_the_complementarity_problem_is_solved(side):
    rng = np.random.default_rng(side)
    for scale in (1e-3, 1.0, 1e3):
        slopes = rng.normal(size=(side, side, 20)) + rng.normal(size=20)
        slopes += slopes.transpose(1, 0, 2)
        beta = scale * np.einsum("ijn,abn->ijab", slopes, slopes)
        alpha = rng.normal(size=(side, side))
        alpha += alpha.T
        with jax.enable_x64(True):
            x = np.asarray(solve(jnp.array(alpha), jnp.array(beta), jnp.zeros((side, side))))
        slack = alpha + np.einsum("ijab,ab->ij", beta, x)
        assert np.linalg.eigvalsh(x).min() >= -1e-12
        assert np.linalg.eigvalsh(slack).min() >= -1e-6
        assert abs(np.sum(x * slack)) <= 1e-6


def test_without_negative_eigenvalue_nothing_oscillates():
    alpha = jnp.array([[0.1, 0.05], [0.05, 0.1]])
    beta = jnp.einsum("ia,jb->ijab", jnp.eye(2), jnp.eye(2))
    assert not np.any(solve(alpha, beta, jnp.ones((2, 2))))


class Polynomial:
    """b·w + ½wᵀAw + T[w,w,w]/6 in NumPy, of which two curvatures grow along the flow."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.b = np.array([0.0, 0.0, 0.0, -0.04, -0.04, 0.0])
        self.a = np.diag([3.7, 3.75, 0.8, 0.0, 0.0, 0.5])
        t = 0.01 * rng.normal(size=(6, 6, 6))
        for x, y, slope in ((0, 3, 1.0), (1, 4, 1.2), (0, 4, 0.05)):
            t[x, x, y] += 3 * slope
        orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
        self.t = np.mean([t.transpose(order) for order in orders], axis=0)

    def loss(self, w):
        return (
            self.b @ w
            + 0.5 * w @ self.a @ w
            + jnp.einsum("ijk,i,j,k", self.t, w, w, w) / 6
            + jnp.sum(w**4) / 24
        )

    def gradient(self, w):
        return self.b + self.a @ w + np.einsum("ijk,j,k->i", self.t, w, w) / 2 + w**3 / 6

    def hessian(self, w):
        return self.a + self.t @ w + np.diag(w**2) / 2

    def third(self, w):
        third = self.t.copy()
        third[np.arange(6), np.arange(6), np.arange(6)] += w
        return third


def plain_central_flow(polynomial, rate, k, steps):
    """Predicted mean loss of every step, and the last parameters: dense, in NumPy and scipy."""
    w, losses = np.zeros(6), []
    for _ in range(steps):
        _, vectors = np.linalg.eigh(rate * polynomial.hessian(w))
        u = np.sqrt(rate) * vectors[:, ::-1][:, :k].T
        slopes = np.einsum("ai,bj,ijn->abn", u, u, polynomial.third(w))
        for part in range(4):
            grad, hessian = polynomial.gradient(w), polynomial.hessian(w)
            alpha = 2 * np.eye(k) - u @ hessian @ u.T + 0.25 * rate * slopes @ grad
            beta = 0.125 * rate * np.einsum("ijn,abn->ijab", slopes, slopes)
            x = complementary(alpha, beta)
            if part == 0:
                loss = float(polynomial.loss(w))
                losses.append(loss + 0.5 * np.trace(u.T @ x @ u @ hessian))
            w = w - 0.25 * rate * (grad + 0.5 * np.tensordot(x, slopes))
    return np.array(losses), w


def complementary(alpha, beta):
    """Solve 0 ⪯ X ⟂ α + β[X] ⪰ 0 for one or two directions, by its rank."""
    k = len(alpha)
    if k == 1:
        return scipy.optimize.nnls(beta[:, :, 0, 0], -alpha[0])[0][None]
    if scipy.linalg.eigvalsh(alpha).min() >= 0:
        return np.zeros((k, k))
    rows = [beta[0, 0], beta[0, 1], beta[1, 1]]
    system = np.array([[row[0, 0], row[0, 1] + row[1, 0], row[1, 1]] for row in rows])
    one, off, other = scipy.linalg.solve(system, -alpha[[0, 0, 1], [0, 1, 1]])
    whole = np.array([[one, off], [off, other]])
    if scipy.linalg.eigvalsh(whole).min() >= 0:
        return whole

    def pointing(angle):
        q = np.array([np.cos(angle), np.sin(angle)])
        return np.outer(q, q)

    def least(angle):
        q = pointing(angle)
        size = max(0.0, -np.sum(alpha * q) / np.einsum("ij,ijab,ab", q, beta, q))
        return 0.5 * size * np.sum(alpha * q), size

    angles = np.linspace(0, np.pi, 200)
    guess = angles[np.argmin([least(angle)[0] for angle in angles])]
    found: Any = scipy.optimize.minimize_scalar(
        lambda angle: least(angle)[0],
        bounds=(guess - 0.02, guess + 0.02),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return least(found.x)[1] * pointing(found.x)


@pytest.mark.parametrize("k", [1, 2])
def test_the_flow_is_that_of_plain_numpy(k):
    polynomial, rate, steps = Polynomial(), 0.5, 200
    problem = pj.Problem(polynomial.loss, lambda key: jnp.zeros(6), "polynomial")
    moving = pj.central_flow(optax.sgd, k)
    flow = pj.sweep(
        problem, moving, pj.Grid(learning_rate=[rate]), steps=steps, windows=steps, block_size=1
    ).squeeze()
    losses, end = plain_central_flow(polynomial, rate, k, steps)
    np.testing.assert_allclose(flow.loss_mean, losses, atol=1e-6)
    found = pj.trajectory(problem, moving, steps=[steps], learning_rate=rate)[0]
    np.testing.assert_allclose(found, end, atol=1e-6)
    oscillating = flow.flow_variance.values > 1e-6
    assert oscillating[-1]
    assert not oscillating[0]
    assert flow.flow_directions.values[-1] == k
    beyond = flow.flow_beyond.values[-1]
    assert beyond > 0.99 if k == 1 else beyond < 0.3  # one direction is too few here


def running_mean_error(problem, rate, steps, windows, directions=1):
    """Predicted mean loss over the mean loss of gradient descent, less 1, per window."""
    grid = pj.Grid(learning_rate=[rate])
    run: dict[str, Any] = {"steps": steps, "windows": windows, "block_size": 1}
    discrete = pj.sweep(problem, optax.sgd, grid, **run).squeeze()
    flow = pj.sweep(problem, pj.central_flow(optax.sgd, directions), grid, **run).squeeze()
    return flow, flow.loss_mean.values / discrete.loss_mean.values - 1


def test_the_predicted_loss_is_the_mean_loss_of_gradient_descent_on_digits():
    """From step 1,000 on; the flow's own loss is too small by more than that."""
    problem = pj.problems.digits((8, 9), 200, hidden=(16,), activation="tanh")
    flow, error = running_mean_error(problem, 0.06, 2_000, 20)
    assert np.abs(error[10:]).max() < 0.02
    np.testing.assert_allclose(flow.flow_edge_ratio[10:], 1, rtol=1e-3)
    own = flow.flow_loss.values / flow.loss_mean.values * (1 + error) - 1
    assert (own[10:] < -0.02).all()


def test_the_predicted_loss_is_the_mean_loss_on_a_deep_linear_network():
    problem = pj.problems.deep_linear(4, (1.0, 0.7, 0.5))
    flow, error = running_mean_error(problem, 0.5, 3_000, 30)
    assert np.abs(error[20:]).max() < 0.02
    assert (flow.flow_loss.values[20:] < 0.01 * flow.loss_mean.values[20:]).all()


def test_a_resumed_flow_is_the_same(tmp_path):
    grid = pj.Grid(learning_rate=[0.5, 0.6])
    moving = pj.central_flow(optax.sgd, 1)
    call: dict[str, Any] = {"steps": 64, "windows": 8, "block_size": 1}
    one = pj.sweep(valley(), moving, grid, **call, probes=["norms"], store=tmp_path / "s")
    again = pj.sweep(
        valley(), moving, grid, **call, probes=["norms"], store=tmp_path / "s", resume=True
    )
    assert one.attrs["directions"] == 1
    assert {"flow_loss", "gradient_norm_mean"} <= set(again.data_vars)
    np.testing.assert_array_equal(one.loss_mean, again.loss_mean)
    other = pj.central_flow(optax.sgd, 1, substeps=5)
    with pytest.raises(ValueError, match="differs"):
        pj.sweep(valley(), other, grid, **call, probes=["norms"], store=tmp_path / "s", resume=True)


@pytest.mark.parametrize(
    ("dynamics", "problem", "said"),
    [
        (lambda: pj.central_flow(optax.lion), None, "optimizer = 'optax.lion'.*optax.sgd"),
        (
            lambda: pj.central_flow(functools.partial(optax.sgd, momentum=0.9)),
            None,
            "optimizer = 'sgd with momentum': must be one of which no more is set than",
        ),
        (lambda: pj.central_flow(optax.sgd, 5), None, "directions = 5.*0 to 4|directions = 5"),
        (lambda: pj.central_flow(optax.sgd, 3), None, "directions = 3.*at most 2"),
        (lambda: pj.central_flow(optax.sgd, 1, 0), None, "substeps = 0"),
        (lambda: pj.CentralFlow(optax.sgd), None, "SlowRule"),
        (
            lambda: pj.central_flow(optax.sgd),
            lambda: pj.problems.digits(batch_size=8),
            "mini-batches",
        ),
    ],
)
def test_what_a_central_flow_refuses(dynamics, problem, said):
    where, grid = problem() if problem else valley(), pj.Grid(learning_rate=[0.1])

    def run():
        return pj.sweep(where, dynamics(), grid, steps=64, windows=8)

    with pytest.raises((ValueError, TypeError), match=said):
        run()


def test_settings_of_a_partial_are_kept():
    fixed = functools.partial(optax.sgd, learning_rate=0.5)
    flow = pj.sweep(valley(), pj.central_flow(fixed, 1), pj.Grid(seed=[0, 1]), **ONE)
    np.testing.assert_allclose(flow.flow_edge_ratio[:, -1], 1, rtol=1e-6)


def test_a_direction_that_no_product_reaches_is_found():
    """The Hessian is diagonal; its last curvature is negative until the others are converged to."""
    weights = jnp.array([0.0, 0.25, 0.2, 0.15, 0.1])
    start = jnp.array([1e-9, 0.5, 0.5, 0.5, 0.5])
    loss = pj.Problem(
        lambda w: (w[0] ** 2 - 1) ** 2 + weights @ w**2, lambda key: start, "diagonal"
    )
    grid = pj.Grid(learning_rate=[0.2])
    run: dict[str, Any] = {"steps": 100, "windows": 10, "block_size": 1}
    measured = pj.sweep(loss, optax.sgd, grid, probes=["sharpness"], **run)
    for moving in (pj.stable_flow(optax.sgd), pj.central_flow(optax.sgd, 1)):
        flow = pj.sweep(loss, moving, grid, **run)
        np.testing.assert_allclose(
            flow.flow_edge_ratio[:, 6:], measured.edge_ratio[:, 6:], rtol=1e-3
        )


@pytest.mark.parametrize(
    ("loss", "start", "sharpness"),
    [
        (lambda w: jnp.sum(1 + jnp.cos(w)), [0.5], 1.0),
        (lambda w: jnp.sum(jnp.where(jnp.abs(w) < 1, w**2, 2 * jnp.abs(w) - 1)), [1.5, 1.6], 2.0),
    ],
    ids=["one parameter, first negative", "flat at first"],
)
def test_curvature_that_is_not_positive_at_first_is_followed(loss, start, sharpness):
    """To that of the minimum, where the flow ends."""
    problem = pj.Problem(loss, lambda key: jnp.array(start), "own")
    grid = pj.Grid(learning_rate=[0.1])
    flow = pj.sweep(problem, pj.central_flow(optax.sgd, 1), grid, **ONE)
    np.testing.assert_allclose(flow.flow_edge_ratio[0, -1], 0.1 * sharpness / 2, rtol=1e-6)
