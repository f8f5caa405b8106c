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
