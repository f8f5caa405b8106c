"""Models of the user's: equinox, flax and plain JAX, on data, compared with a plain optax loop."""

import itertools
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import phasejax as pj
from phasejax.problems.order import shuffled

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(40, 3))
LABELS = RNG.integers(0, 4, 40)
GRID = pj.Grid(learning_rate=[1e-2, 3e-3], b1=0.9, b2=0.99, eps=1e-8)
STEPS = 200


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8, param_dtype=jnp.float64)(x)
        return nn.Dense(4, param_dtype=jnp.float64)(jax.nn.tanh(x))


class Nnx(nnx.Module):
    def __init__(self, key):
        rngs = nnx.Rngs(key)
        self.first = nnx.Linear(3, 8, rngs=rngs)
        self.second = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        return self.second(jax.nn.tanh(self.first(x)))


def mlp(key):
    return eqx.nn.MLP(3, 4, 8, 1, activation=lambda x: jax.nn.gelu(x), key=key)


def plain(key):
    first, second = jax.random.split(key)
    weights = jax.random.normal(first, (3, 8)), jax.random.normal(second, (8, 4)) / 8
    return {"weights": list(weights), "scale": 1.0, "absent": None, "twice": jnp.array(2)}


def apply_plain(model, x):
    first, second = model["weights"]
    return jnp.tanh(x @ first) @ second * model["scale"] * model["twice"]


MODELS: dict[str, Any] = {
    "equinox": (mlp, lambda model, x: jax.vmap(model)(x)),
    "linen": (lambda key: Linen().init(key, jnp.ones((1, 3))), lambda v, x: Linen().apply(v, x)),
    "nnx": (Nnx, lambda model, x: model(x)),
    "plain": (plain, apply_plain),
}


def parted(model):
    """Parameters of a model, and a function that makes the model of them, by its own library."""
    if isinstance(model, nnx.Module):
        graph, params = nnx.split(model, nnx.Param)
        return params, lambda params: nnx.merge(graph, params)
    own = isinstance(model, eqx.Module)
    trained = eqx.is_inexact_array if own else lambda x: isinstance(x, float) or eqx.is_array(x)
    if isinstance(model, dict) and "twice" in model:
        rest = {"twice": model.pop("twice")}
        return model, lambda params: params | rest
    params, rest = eqx.partition(model, trained)
    return params, lambda params: eqx.combine(params, rest)


def by_optax(init, apply, rate, rows):
    """Losses before each step on all rows, `[steps]`; the gradient is that of its `rows`."""
    with jax.enable_x64(True):
        inputs, labels = jnp.asarray(INPUTS), jnp.asarray(LABELS)
        params, whole = parted(init(jax.random.key(0)))
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        optimizer = optax.adam(rate, b1=0.9, b2=0.99, eps=1e-8)

        def loss(params, rows):
            logits = jax.nn.log_softmax(apply(whole(params), inputs[rows]))
            return -logits[jnp.arange(len(rows)), labels[rows]].mean()

        @jax.jit
        def step(carry, rows):
            params, state = carry
            before = loss(params, jnp.arange(len(inputs)))
            updates, state = optimizer.update(jax.grad(loss)(params, rows), state)
            return (optax.apply_updates(params, updates), state), before

        return np.asarray(jax.lax.scan(step, (params, optimizer.init(params)), rows)[1])


def keys_of_steps():
    """Key of every step of seed 0, as `phasejax.Problem` says: chained splits."""
    key = jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), 1)
    keys = []
    for _ in range(STEPS):
        key, now = jax.random.split(key)
        keys.append(now)
    return keys


def drawn_rows(size):
    """Rows that are drawn with replacement, `[steps, size]`."""
    with jax.enable_x64(True):
        draw = jax.jit(lambda key: jax.random.randint(jax.random.split(key)[0], (size,), 0, 40))
        return np.stack([draw(key) for key in keys_of_steps()])


@pytest.mark.parametrize(
    ("kind", "batch_size"),
    [("equinox", None), ("equinox", 8), ("linen", None), ("nnx", 8), ("plain", 8)],
)
def test_a_model_trains_as_in_a_plain_optax_loop(kind, batch_size):
    init, apply = MODELS[kind]
    problem = pj.problems.model(
        init, apply, (INPUTS, LABELS), loss="cross_entropy", batch_size=batch_size
    )
    swept = pj.sweep(problem, optax.adam, GRID, steps=STEPS, windows=STEPS)
    rows = np.tile(np.arange(40), (STEPS, 1)) if batch_size is None else drawn_rows(batch_size)
    for rate in GRID.axes["learning_rate"].values:
        expected = by_optax(init, apply, rate, rows)
        found = swept.loss_mean.sel(learning_rate=rate)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert expected[-1] < 0.9 * expected[0]


@pytest.mark.parametrize("size", [1, 2, 3, 64, 97, 1797])
def test_a_shuffled_order_has_every_number_once_and_another_one_for_another_key(size):
    orders = [np.asarray(shuffled(jax.random.key(k), jnp.arange(size), size)) for k in (0, 1)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(size))
    assert size < 64 or np.mean(orders[0] == orders[1]) < 0.1


def test_a_shuffled_order_has_no_favourites():
    """Each of 6 × 6 (place, number), and each pair at the first two places, is equally likely."""
    size, draws = 6, 20_000
    keys = jax.random.split(jax.random.key(3), draws)
    orders = np.asarray(jax.vmap(lambda key: shuffled(key, jnp.arange(size), size))(keys))
    counts = np.array([np.bincount(column, minlength=size) for column in orders.T])
    expected = draws / size
    assert np.sum((counts - expected) ** 2 / expected) < 60  # 25 degrees of freedom: 1e-4
    pairs = np.bincount(orders[:, 0] * size + orders[:, 1], minlength=size**2)
    pairs = pairs[np.arange(size**2) % (size + 1) != 0]  # without twice the same number
    expected = draws / len(pairs)
    assert np.sum((pairs - expected) ** 2 / expected) < 66  # 29 degrees of freedom: 1e-4


def test_an_epoch_takes_every_row_once_in_an_order_of_its_own():
    """The gradient of a linear model is the sum of the rows of a batch, so it counts them."""
    rows, size, epochs = 12, 4, 3
    eye = np.eye(rows)
    problem = pj.problems.model(
        lambda key: jnp.zeros(rows),
        lambda model, x: x @ model,
        (eye, np.zeros(rows)),
        loss=lambda outputs, targets: outputs.sum(),
        batch_size=size,
        shuffle="epoch",
    )
    steps = np.arange(epochs * rows // size + 1)
    path = pj.trajectory(problem, optax.sgd, steps=steps, learning_rate=1.0)
    seen = -np.diff(path, axis=0).reshape(epochs, rows // size, rows)
    assert set(np.unique(seen)) == {0, 1}
    np.testing.assert_array_equal(seen.sum(1), 1)
    assert not np.array_equal(seen[0], seen[1])
    other = pj.trajectory(problem, optax.sgd, steps=steps, learning_rate=1.0, seed=1)
    assert not np.array_equal(path, other)


def test_dropout_gets_another_key_in_every_step_and_none_where_the_loss_is_recorded():
    def apply(model, inputs, key):
        if key is None:
            return inputs @ model
        kept = jax.random.bernoulli(key, 0.5, inputs.shape)
        return jnp.where(kept, 2 * inputs, 0) @ model

    problem = pj.problems.model(lambda key: jnp.ones(3), apply, (INPUTS, INPUTS.sum(1)))
    path = pj.trajectory(problem, optax.sgd, steps=np.arange(6), learning_rate=0.01)
    moved = np.diff(path, axis=0)
    assert len(np.unique(moved.round(12), axis=0)) == 5
    swept = pj.sweep(problem, optax.sgd, pj.Grid(learning_rate=[0.01, 0.02]), steps=64, windows=64)
    assert swept.loss_mean[0, 0] == 0  # it starts at the solution, and drops nothing


def test_held_out_data_have_their_loss_at_the_end_of_every_window(tmp_path):
    held_out = RNG.normal(size=(30, 3))
    data, more = (INPUTS, INPUTS.sum(1)), (held_out, held_out.sum(1) + 1)
    problem = pj.problems.model(
        lambda key: jax.random.normal(key, (3,)), lambda m, x: x @ m, data, validation=more
    )
    grid = pj.Grid(learning_rate=[0.01, 0.02])
    swept = pj.sweep(
        problem, optax.sgd, grid, steps=64, windows=16, store=tmp_path / "s", probes=["norms"]
    )
    path = pj.trajectory(problem, optax.sgd, steps=np.arange(0, 65, 4), learning_rate=0.02)
    expected = np.mean((path[1:] @ held_out.T - more[1]) ** 2, axis=1)
    np.testing.assert_allclose(swept.validation_loss[1], expected, rtol=1e-12)
    assert list(swept.attrs["probes"]) == ["norms", "validation"]
    stored = pj.open_dataset(tmp_path / "s")
    np.testing.assert_array_equal(stored.validation_loss, swept.validation_loss)
    with pytest.raises(ValueError, match="has no validation_loss"):
        pj.sweep(pj.problems.quadratic(), pj.adam, GRID_AB, steps=256, probes=["validation"])


GRID_AB = pj.Grid(a=[1.0, 10.0], b=10.0)


def test_a_loss_that_is_evaluated_now_and_then_has_its_own_statistics():
    """The same run as with every step evaluated; windows of 5 or 6 steps, every fourth counts."""

    def build(every):
        return pj.problems.model(
            lambda key: jax.random.normal(key, (3,)),
            lambda m, x: x @ m,
            (INPUTS, INPUTS.sum(1)),
            batch_size=5,
            evaluate_every=every,
        )

    grid = pj.Grid(learning_rate=[0.01, 0.02])
    losses = pj.sweep(build(1), optax.sgd, grid, steps=90, windows=90).loss_mean.values
    swept = pj.sweep(build(4), optax.sgd, grid, steps=90, windows=16)
    edges = np.arange(17) * 90 // 16
    for window, (first, last) in enumerate(itertools.pairwise(edges)):
        counted = losses[:, [step for step in range(first, last) if step % 4 == 0]]
        found = swept.isel(window=window)
        np.testing.assert_allclose(found.loss_min, counted.min(1), rtol=1e-12)
        np.testing.assert_allclose(found.loss_max, counted.max(1), rtol=1e-12)
        np.testing.assert_allclose(found.loss_mean, counted.mean(1), rtol=1e-12)
        np.testing.assert_allclose(
            found.log10_loss_mean, np.log10(counted).mean(1), rtol=0, atol=1e-12
        )
    assert swept.attrs["problem_arguments"]["evaluate_every"] == 4
    last = pj.trajectory(build(4), optax.sgd, steps=[90], learning_rate=0.01)
    assert np.isfinite(last).all()
    with pytest.raises(ValueError, match=r"evaluate_every = 6: must be at most 5"):
        pj.sweep(build(6), optax.sgd, grid, steps=90, windows=16)
    with pytest.raises(ValueError, match="left out without a batch_loss"):
        linear((INPUTS, LABELS), evaluate_every=2)
    with pytest.raises(ValueError, match=r"evaluate_every = 4: must be 1"):
        pj.replay(swept, build(4), learning_rate=0.01)


def test_probes_and_the_gauss_newton_part_take_a_model():
    init, apply = MODELS["equinox"]
    problem = pj.problems.model(init, apply, (INPUTS, LABELS), loss="cross_entropy")
    kinds = [pj.probes.Sharpness(gauss_newton=True), "norms"]
    swept = pj.sweep(problem, pj.adam, GRID_AB, steps=64, windows=8, probes=kinds)
    assert np.all(swept.sharpness > 0)
    assert np.all(swept.gradient_norm_min > 0)


def test_a_float_of_an_equinox_module_is_a_setting_and_one_of_a_dict_is_trained():
    """As `eqx.is_inexact_array` and optax have it."""

    def final(model, loss):
        problem = pj.Problem(loss, lambda key: model)
        return pj.trajectory(problem, optax.sgd, steps=[0, 8], learning_rate=0.1)

    dropout = final(
        {"drop": eqx.nn.Dropout(0.5), "w": np.ones(2)},
        lambda model: (model["w"] ** 2).sum() + model["drop"].p,
    )
    assert len(jax.tree.leaves(dropout)) == 1
    plain = final({"w": np.ones(2), "c": 0.5}, lambda model: (model["w"] ** 2).sum() + model["c"])
    np.testing.assert_allclose(plain["c"], [0.5, 0.5 - 0.8])


def test_seeds_start_elsewhere_and_share_what_is_not_trained():
    problem = pj.Problem(
        lambda model: jnp.mean((jax.vmap(model)(INPUTS) - 1.0) ** 2), mlp, name="mlp"
    )
    swept = pj.sweep(
        problem, optax.sgd, pj.Grid(learning_rate=[0.1, 0.2], seed=[0, 1, 2]), steps=64, windows=8
    )
    assert len(np.unique(swept.initial_loss)) == 3
    with jax.enable_x64(True):
        for seed, found in zip((0, 1, 2), swept.initial_loss.values, strict=True):
            outputs = jax.vmap(mlp(jax.random.key(seed)))(jnp.asarray(INPUTS))
            assert found == pytest.approx(float(jnp.mean((outputs - 1) ** 2)), rel=1e-12)


class Normalized(nnx.Module):
    def __init__(self, key):
        self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(key))

    def __call__(self, x):
        return self.norm(x)


class NormalizedLinen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=True)(x)


REFUSED = {
    "running statistics of nnx": (
        lambda: pj.problems.model(Normalized, lambda m, x: m(x), (INPUTS, INPUTS)),
        "BatchStat, which changes during training",
    ),
    "running statistics of linen": (
        lambda: pj.problems.model(
            lambda key: NormalizedLinen().init(key, INPUTS),
            lambda v, x: NormalizedLinen().apply(v, x),
            (INPUTS, INPUTS),
        ),
        "batch_stats, which changes .* return variables",
    ),
    "rows": (lambda: linear((INPUTS, LABELS[:-1])), "data = .* same number of rows"),
    "no pair": (
        lambda: linear((INPUTS, LABELS, LABELS)),
        "data: must be a tuple of inputs and targets",
    ),
    "nan": (lambda: linear((INPUTS * np.nan, LABELS)), "data: must be finite"),
    "shape": (
        lambda: linear((INPUTS, LABELS[:, None])),
        r"shape of targets in data = \(40, 1\): must be \(40,\)",
    ),
    "labels": (
        lambda: pj.problems.model(
            mlp, lambda m, x: jax.vmap(m)(x), (INPUTS, LABELS + 1), loss="cross_entropy"
        ),
        "targets in data = 'int64 from 1 to 4': must be integers from 0 to 3",
    ),
    "held-out labels": (
        lambda: pj.problems.model(
            mlp,
            lambda m, x: jax.vmap(m)(x),
            (INPUTS, LABELS),
            loss="cross_entropy",
            validation=(INPUTS, LABELS * 1.0),
        ),
        "targets in validation = 'float64 from",
    ),
    "signs": (lambda: linear((INPUTS, LABELS), loss="logistic"), "must be -1 or 1"),
    "batch": (lambda: linear((INPUTS, LABELS), batch_size=41), "batch_size = 41.* at most 40"),
    "shuffle": (lambda: linear((INPUTS, LABELS), shuffle="epoch"), "left out without a batch_size"),
    "loss": (lambda: linear((INPUTS, LABELS), loss="mes"), "loss = 'mes'.*did you mean 'mse'"),
    "state": (
        lambda: pj.problems.model(
            lambda key: jnp.ones(3), lambda m, x: (x @ m, m), (INPUTS, LABELS)
        ),
        "apply returned a tuple of 2",
    ),
    "apply": (
        lambda: pj.problems.model(lambda key: jnp.ones(4), lambda m, x: x @ m, (INPUTS, LABELS)),
        "apply fails on",
    ),
}


def linear(data, **more):
    return pj.problems.model(lambda key: jnp.ones(3), lambda m, x: x @ m, data, **more)


@pytest.mark.parametrize("what", REFUSED)
def test_a_model_and_data_that_do_not_fit_are_refused(what):
    build, message = REFUSED[what]
    with pytest.raises((TypeError, ValueError), match=message):
        build()


def test_a_model_that_differs_between_seeds_is_refused():
    problem = pj.Problem(
        lambda model: jnp.sum(model["w"] ** 2),
        lambda key: {"w": jnp.ones(2), "n": jax.random.randint(key, (), 0, 1000)},
    )
    with pytest.raises(ValueError, match="different model for seed 1 than for seed 0"):
        pj.sweep(problem, pj.adam, pj.Grid(a=1.0, b=10.0, seed=[0, 1]))
