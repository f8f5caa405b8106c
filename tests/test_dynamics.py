"""adam and rmsprop compared with optax and with 50 digits, and at the limits of arithmetic."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import phasejax as pj
from phasejax.problems.problem import initial_params

ETA = 1e-3
PROBLEMS = {
    "quadratic": pj.problems.quadratic((1.0, 0.1, 5.0)),
    "rosenbrock": pj.problems.rosenbrock(),
    "digits": pj.problems.digits(samples=32, hidden=(8,)),
}


def trajectory(optimizer, problem, steps, params=None):
    """Parameters after `steps` steps, flat, in float64."""
    with jax.enable_x64(True):
        params = initial_params(problem, 0) if params is None else params
        params = jax.tree.map(jnp.asarray, params)

        def step(_, carry):
            params, state = carry
            updates, state = optimizer.update(jax.grad(problem.loss)(params), state, params)
            return optax.apply_updates(params, updates), state

        @jax.jit
        def run(params):
            return jax.lax.fori_loop(0, steps, step, (params, optimizer.init(params)))[0]

        return np.asarray(ravel_pytree(run(params))[0])


# Regular cells, where rounding errors stay small over 1,000 steps. (In the spike regime, and in
# RMSprop's two-cycle on a network, they double every few steps, so two correct programs differ.)
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(("eps", "eps_root"), [(1e-8, 0.0), (0.0, 1e-6), (1e-8, 1e-10)])
@pytest.mark.parametrize(("a", "b"), [(1.0, 100.0), (10.0, 10.0), (30.0, 3.0)])
def test_adam_is_optax_adam(problem, a, b, eps, eps_root):
    theirs = optax.adam(ETA, b1=1 - b * ETA, b2=1 - a * ETA, eps=eps, eps_root=eps_root)
    ours = pj.adam(a, b, ETA, eps, eps_root)
    np.testing.assert_allclose(
        trajectory(ours, PROBLEMS[problem], 1000),
        trajectory(theirs, PROBLEMS[problem], 1000),
        rtol=1e-9,
        atol=1e-11,
    )


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("b", [None, 50.0])
def test_rmsprop_is_optax_rmsprop(problem, inside, b):
    eps = 1e-2  # large enough to prevent the two-cycle, in which rounding errors grow
    theirs = optax.rmsprop(
        ETA if b is None else ETA * b * ETA,
        decay=1 - 10 * ETA,
        eps=eps,
        eps_in_sqrt=inside,
        momentum=None if b is None else 1 - b * ETA,
    )
    ours = pj.rmsprop(10.0, b, ETA, **({"eps": 0.0, "eps_root": eps} if inside else {"eps": eps}))
    np.testing.assert_allclose(
        trajectory(ours, PROBLEMS[problem], 1000),
        trajectory(theirs, PROBLEMS[problem], 1000),
        rtol=1e-9,
        atol=1e-11,
    )


RATES = {"float64": (1e-300, 1e-150, 1.0, 1e300), "float32": (1e-36, 1e-15, 1.0, 1e36)}
SIZES = {"float64": (1e-300, 1e-150, 1e150, 1e307), "float32": (1e-36, 1e-15, 1e15, 1e36)}


def updates_of(make, rates, sizes, dtype):
    """Six updates of `make(learning_rate)` for every learning rate and size of the gradients."""
    gradients = np.array([1.0, -0.5, 0.25, 3.0, 0.0, -2.0])

    def cell(rate, size):
        optimizer = make(rate)

        def step(state, g):
            update, state = optimizer.update(g * size, state)
            return state, update

        return jax.lax.scan(step, optimizer.init(jnp.zeros((), dtype)), gradients.astype(dtype))[1]

    with jax.enable_x64(dtype == "float64"):
        pairs = np.stack(np.meshgrid(rates, sizes), -1).reshape(-1, 2).astype(dtype)
        return np.asarray(jax.jit(jax.vmap(cell))(*pairs.T))


@pytest.mark.parametrize("dtype", RATES)
@pytest.mark.parametrize(("eps", "eps_root"), [(0.0, 0.0), (1e-8, 0.0), (0.0, 1e-8)])
@pytest.mark.parametrize("method", ["adam", "rmsprop"])
def test_optax_at_the_extremes(method, eps, eps_root, dtype):
    """Learning rates and gradients of any size: squares that overflow or underflow, in both."""

    def theirs(rate):
        if method == "adam":
            return optax.adam(rate, b1=0.75, b2=0.875, eps=eps, eps_root=eps_root)
        return optax.rmsprop(rate, 0.875, eps or eps_root, eps_in_sqrt=eps_root > 0)

    def ours(rate):
        if method == "adam":
            return pj.adam(0.125 / rate, 0.25 / rate, rate, eps, eps_root)
        return pj.rmsprop(0.125 / rate, None, rate, eps, eps_root)

    expected = updates_of(theirs, RATES[dtype], SIZES[dtype], dtype)
    found = updates_of(ours, RATES[dtype], SIZES[dtype], dtype)
    if not eps and not eps_root:  # if v underflows, optax has 0/0 and phasejax a zero update
        expected = np.where(np.isfinite(expected), expected, 0)
    tiny = float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(found, expected, rtol=1e2 * np.finfo(dtype).eps, atol=4 * tiny)


@pytest.mark.parametrize("method", ["adam", "rmsprop", "rmsprop with b"])
def test_without_memory_a_larger_gradient_leaves_no_rounding(method):
    """α = β = 0, and gradients that fall by ten decades per step, so that rounding of v shows."""
    rate, gradients = 1 / 300, [1.0, 1e-10, -1e-20, 1e-3, 0.0, 1e-12]
    ours, theirs = {
        "adam": (pj.adam(300.0, 300.0, rate, 1e-30), optax.adam(rate, 0.0, 0.0, 1e-30)),
        "rmsprop": (
            pj.rmsprop(300.0, None, rate, 1e-30),
            optax.rmsprop(rate, 0.0, 1e-30, eps_in_sqrt=False),
        ),
        "rmsprop with b": (
            pj.rmsprop(300.0, 300.0, rate, 1e-30),
            optax.rmsprop(rate, 0.0, 1e-30, eps_in_sqrt=False),
        ),
    }[method]
    with jax.enable_x64(True):
        x = jnp.zeros(())
        states = ours.init(x), theirs.init(x)
        for gradient in map(jnp.asarray, gradients):
            found, state = ours.update(gradient, states[0], x)
            expected, other = theirs.update(gradient, states[1], x)
            states = state, other
            np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-12)


@pytest.mark.parametrize(("dtype", "rate"), [("float64", 1e-300), ("float32", 1e-30)])
def test_adam_with_the_smallest_decays_takes_plain_means(dtype, rate):
    """For a·η and b·η far below the epsilon, corrected averages are means of all gradients."""
    found = updates_of(lambda _: pj.adam(1.0, 1.0, rate, eps=0.0), [1.0], [1.0], dtype)[0]
    g = np.array([1.0, -0.5, 0.25, 3.0, 0.0, -2.0])
    count = np.arange(1, 7)
    expected = -rate * (np.cumsum(g) / count) / np.sqrt(np.cumsum(g * g) / count)
    np.testing.assert_allclose(found, expected, rtol=1e2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("make", [lambda a: pj.adam(a, 1.0), lambda a: pj.rmsprop(a)])
def test_a_decay_that_rounding_makes_negative_is_zero(make):
    optimizer = make(1000 * (1 + 5e-13))  # a·η may exceed 1 by rounding
    with jax.enable_x64(True):
        _, state = optimizer.update(jnp.ones(1), optimizer.init(jnp.zeros(1)))
        _, state = optimizer.update(jnp.zeros(1), state)
        assert state.v == 0


def fifty_digits(method, a, b, eps, eps_root, spectrum, start, steps):
    """The update rules of the docstrings, one number at a time, in 50 digits."""
    with mpmath.workdps(50):
        eta, a, b, eps, eps_root = (mpmath.mpf(x) for x in (ETA, a, b, eps, eps_root))
        xs = []
        for curvature, x in zip(spectrum, start, strict=True):
            curvature, x, m, v = mpmath.mpf(curvature), mpmath.mpf(x), mpmath.mpf(0), mpmath.mpf(0)
            for t in range(1, steps + 1):
                g = curvature * x
                v = (1 - a * eta) * v + a * eta * g**2
                m = (1 - b * eta) * m + b * eta * g
                if method == "adam":
                    mhat, vhat = m / (1 - (1 - b * eta) ** t), v / (1 - (1 - a * eta) ** t)
                else:
                    mhat, vhat = g, v
                x -= eta * mhat / (mpmath.sqrt(vhat + eps_root) + eps)
            xs.append(float(x))
        return np.array(xs)


@pytest.mark.parametrize("method", ["adam", "rmsprop"])
@pytest.mark.parametrize(("eps", "eps_root"), [(1e-8, 0.0), (0.0, 1e-6)])
def test_against_fifty_digits(method, eps, eps_root):
    spectrum, start = (1.0, 0.1), (0.7, -1.3)
    problem = pj.problems.quadratic(spectrum, start)
    optimizer = (
        pj.adam(2.0, 30.0, ETA, eps, eps_root)
        if method == "adam"
        else pj.rmsprop(2.0, None, ETA, eps, eps_root)
    )
    np.testing.assert_allclose(
        trajectory(optimizer, problem, 600),
        fifty_digits(method, 2.0, 30.0, eps, eps_root, spectrum, start, 600),
        rtol=1e-12,
    )


def test_bias_corrections_keep_their_digits_in_float32():
    # 1 - (1 - 1e-7)^t loses its digits in float32 as a difference, but not as an average of ones.
    optimizer = pj.adam(1e-4, 1e-4, ETA, eps=0.0)
    params = jnp.ones(1, jnp.float32)
    updates, _ = optimizer.update(params, optimizer.init(params))
    np.testing.assert_allclose(np.asarray(updates), -ETA, rtol=1e-6)


@pytest.mark.parametrize("optimizer", [pj.adam(1.0, 1.0, eps=0.0), pj.rmsprop(1.0, eps=0.0)])
def test_zero_over_zero_is_a_zero_update(optimizer):
    params = jnp.zeros(2)
    updates, _ = optimizer.update(jnp.zeros(2), optimizer.init(params))
    np.testing.assert_array_equal(updates, 0)


def test_a_nan_gradient_reaches_the_parameters():
    optimizer = pj.adam(1.0, 1.0)
    updates, _ = optimizer.update(jnp.array([jnp.nan]), optimizer.init(jnp.zeros(1)))
    assert np.isnan(np.asarray(updates)).all()


def test_rmsprop_two_cycle_is_half_learning_rate():
    """Ma, Wu and E (2021): on x²/2 RMSprop ends in jumps between −η/2 and η/2."""
    problem = pj.problems.quadratic((1.0,), start=(0.3,))
    optimizer = pj.rmsprop(100.0, learning_rate=ETA, eps=0.0)
    one, two = (trajectory(optimizer, problem, steps)[0] for steps in (3000, 3001))
    assert abs(one) == pytest.approx(ETA / 2, rel=1e-9)
    assert two == pytest.approx(-one, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pj.adam(1001.0, 1.0), "a = 1001.0: must be .* at most 1 / learning_rate = 1000"),
        (lambda: pj.adam(1.0, 1001.0), "b = 1001.0"),
        (lambda: pj.adam(0.0, 1.0), "a = 0.0"),
        (lambda: pj.adam(1.0, -2.0), "b = -2.0"),
        (lambda: pj.adam(float("nan"), 1.0), "a = nan"),
        (lambda: pj.adam(1.0, 1.0, learning_rate=0.0), "learning_rate = 0.0"),
        (lambda: pj.adam(1.0, 1.0, eps=-1.0), "eps = -1.0"),
        (lambda: pj.rmsprop(1.0, eps_root=-1.0), "eps_root = -1.0"),
        (lambda: pj.rmsprop(2000.0), "a = 2000.0"),
        (lambda: pj.rmsprop(2.0, 2000.0), "b = 2000.0"),
    ],
)
def test_outside_the_domain_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_domain_includes_its_edge():
    pj.adam(1000.0, 1000.0, 1e-3)  # aη = 1: no memory at all
