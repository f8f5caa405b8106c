"""Small problems in JAX, for optax: a function from a seed to parameters and a loss.

`loss(params, key, batch)` draws its own batch; 0 means all data.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Problem(NamedTuple):
    """The start, and the loss of a batch drawn with a key."""

    params: Any
    loss: Callable[[Any, Any, int], Any]
    size: int
    """Examples in an epoch."""


def perceptron(key: Any, sizes: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """Weights and biases with Glorot's scale."""
    keys = jax.random.split(key, len(sizes) - 1)
    pairs = zip(keys, sizes, sizes[1:], strict=False)
    return [
        (jax.random.normal(k, (n, m)) * (2 / (n + m)) ** 0.5, jnp.zeros(m)) for k, n, m in pairs
    ]


def apply(params: list[tuple[Any, Any]], x: Any) -> Any:
    """The output of a perceptron with tanh."""
    for weights, bias in params[:-1]:
        x = jnp.tanh(x @ weights + bias)
    return x @ params[-1][0] + params[-1][1]


def poisson(seed: int, width: int = 24, frequency: float = 2.0, points: int = 64) -> Problem:
    """A physics-informed network for u″ = f on [0, 1] with u = 0 at the ends, u = sin(2πkx)."""
    omega = 2 * jnp.pi * frequency

    def loss(params: Any, key: Any, batch: int) -> Any:
        x = jax.random.uniform(key, (batch,)) if batch else jnp.linspace(0, 1, points)

        def u(x: Any) -> Any:
            return apply(params, x[None])[0]

        residual = jax.vmap(jax.grad(jax.grad(u)))(x) / omega**2 + jnp.sin(omega * x)
        return (residual**2).mean() + u(jnp.array(0.0)) ** 2 + u(jnp.array(1.0)) ** 2

    return Problem(perceptron(jax.random.key(seed), (1, width, width, 1)), loss, points)


def burgers(seed: int, width: int = 16, viscosity: float = 0.05, points: int = 128) -> Problem:
    """A physics-informed network for Burgers' equation, u = −sin(πx) at t = 0."""
    fixed = jax.random.uniform(jax.random.key(seed + 100), (points, 2))
    start = jnp.linspace(-1, 1, 32)

    def loss(params: Any, key: Any, batch: int) -> Any:
        where = jax.random.uniform(key, (batch, 2)) if batch else fixed
        t, x = where[:, 0], 2 * where[:, 1] - 1

        def u(t: Any, x: Any) -> Any:
            return apply(params, jnp.stack([t, x]))[0]

        u_t, u_x = jax.vmap(jax.grad(u))(t, x), jax.vmap(jax.grad(u, 1))(t, x)
        u_xx = jax.vmap(jax.grad(jax.grad(u, 1), 1))(t, x)
        equation = ((u_t + jax.vmap(u)(t, x) * u_x - viscosity * u_xx) ** 2).mean()
        initial = ((jax.vmap(lambda x: u(0.0, x))(start) + jnp.sin(jnp.pi * start)) ** 2).mean()
        walls = ((jax.vmap(lambda t: jnp.stack([u(t, 1.0), u(t, -1.0)]))(t)) ** 2).mean()
        return equation + initial + walls

    return Problem(perceptron(jax.random.key(seed), (2, width, width, 1)), loss, points)


def factorisation(seed: int, rank: int = 4, noise: float = 0.1, shape=(40, 30)) -> Problem:
    """A matrix of given rank, observed with noise, as a product of two factors."""
    keys = jax.random.split(jax.random.key(seed), 5)
    rows, columns = shape
    true = jax.random.normal(keys[0], (rows, rank)) @ jax.random.normal(keys[1], (rank, columns))
    data = true / rank**0.5 + noise * jax.random.normal(keys[2], shape)
    left = 0.3 * jax.random.normal(keys[3], (rows, rank))
    right = 0.3 * jax.random.normal(keys[4], (rank, columns))

    def loss(params: Any, key: Any, batch: int) -> Any:
        wrong = (params[0] @ params[1] - data) ** 2
        return (
            wrong.ravel()[jax.random.randint(key, (batch,), 0, wrong.size)].mean()
            if batch
            else wrong.mean()
        )

    return Problem((left, right), loss, rows * columns)


def mixture(seed: int, components: int = 3, points: int = 256) -> Problem:
    """Minus the log-likelihood per point of a Gaussian mixture: clusters in the plane."""
    keys = jax.random.split(jax.random.key(seed), 3)
    centres = 2 * jax.random.normal(keys[0], (components, 2))
    data = jnp.tile(centres, (points, 1))[:points] + 0.05 * jax.random.normal(keys[1], (points, 2))

    def loss(params: Any, key: Any, batch: int) -> Any:
        x = data[jax.random.randint(key, (batch,), 0, points)] if batch else data
        means, log_scales, logits = params
        scaled = (x[:, None] - means) / jnp.exp(log_scales)[:, None]
        logs = -0.5 * (scaled**2).sum(-1) - 2 * log_scales - jnp.log(2 * jnp.pi)
        return -jax.nn.logsumexp(logs + jax.nn.log_softmax(logits), axis=1).mean()

    start = (
        jax.random.normal(keys[2], (components, 2)),
        jnp.zeros(components),
        jnp.zeros(components),
    )
    return Problem(start, loss, points)


def oscillator(seed: int, width: int = 20, omega: float = 6.0, points: int = 80) -> Problem:
    """A physics-informed network for a damped oscillator that starts at 1, on [0, 2]."""

    def loss(params: Any, key: Any, batch: int) -> Any:
        t = 2 * (jax.random.uniform(key, (batch,)) if batch else jnp.linspace(0, 1, points))

        def u(t: Any) -> Any:
            return apply(params, t[None])[0]

        def residual(t: Any) -> Any:
            return jax.grad(jax.grad(u))(t) / omega**2 + 0.2 * jax.grad(u)(t) / omega + u(t)

        start = jnp.array(0.0)
        wrong = (jax.vmap(residual)(t) ** 2).mean()
        return wrong + (u(start) - 1) ** 2 + (jax.grad(u)(start) / omega) ** 2

    return Problem(perceptron(jax.random.key(seed), (1, width, width, 1)), loss, points)


def heat(seed: int, width: int = 16, points: int = 128) -> Problem:
    """A physics-informed network for the heat equation with walls at 0, sin(πx) at t = 0."""
    fixed = jax.random.uniform(jax.random.key(seed + 100), (points, 2))
    start = jnp.linspace(0, 1, 24)

    def loss(params: Any, key: Any, batch: int) -> Any:
        t, x = (jax.random.uniform(key, (batch, 2)) if batch else fixed).T

        def u(t: Any, x: Any) -> Any:
            return apply(params, jnp.stack([t, x]))[0] * x * (1 - x)

        u_t, u_xx = jax.vmap(jax.grad(u))(t, x), jax.vmap(jax.grad(jax.grad(u, 1), 1))(t, x)
        wrong = jax.vmap(lambda x: u(0.0, x))(start) - jnp.sin(jnp.pi * start)
        return ((u_t - 0.1 * u_xx) ** 2).mean() + (wrong**2).mean()

    return Problem(perceptron(jax.random.key(seed), (2, width, width, 1)), loss, points)


def counts(seed: int, inputs: int = 8, points: int = 400) -> Problem:
    """Poisson regression: minus the log-likelihood per count, up to a constant."""
    keys = jax.random.split(jax.random.key(seed), 3)
    x = jax.random.normal(keys[0], (points, inputs))
    y = jax.random.poisson(keys[1], jnp.exp(1 + x @ jax.random.normal(keys[2], (inputs,)) * 0.3))

    def loss(params: Any, key: Any, batch: int) -> Any:
        rows = jax.random.randint(key, (batch,), 0, points) if batch else jnp.arange(points)
        log = x[rows] @ params[0] + params[1]
        return (jnp.exp(log) - y[rows] * log).mean()

    return Problem((jnp.zeros(inputs), jnp.zeros(())), loss, points)


def tensor(seed: int, rank: int = 5, noise: float = 0.1, side: int = 12) -> Problem:
    """A noisy array of three axes as a sum of outer products."""
    keys = jax.random.split(jax.random.key(seed), 3)
    true = jax.random.normal(keys[0], (3, side, rank))
    data = jnp.einsum("ir,jr,kr->ijk", *true) / rank**0.5
    data = data + noise * jax.random.normal(keys[1], data.shape)

    def loss(params: Any, key: Any, batch: int) -> Any:
        if not batch:
            return ((jnp.einsum("ir,jr,kr->ijk", *params) - data) ** 2).mean()
        i, j, k = jax.random.randint(key, (3, batch), 0, side)
        found = (params[0, i] * params[1, j] * params[2, k]).sum(1)
        return ((found - data[i, j, k]) ** 2).mean()

    return Problem(0.5 * jax.random.normal(keys[2], (3, side, rank)), loss, side**3)
