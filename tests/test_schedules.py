"""Optimizers whose learning rate follows a schedule, as optax has them, with numbers as axes."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import phasejax as pj
from phasejax import cli
from phasejax.dynamics import by_name
from phasejax.dynamics.schedules import SCHEDULES

STEPS = 40


def by_optax(schedule, peak, warm, end):
    """The same schedules by optax, from plain numbers."""
    rising = optax.linear_schedule(0.0, peak, warm)
    falling = optax.linear_schedule(peak, end, STEPS - warm)
    return {
        "warmup": rising,
        "cosine": optax.cosine_decay_schedule(peak, STEPS, end / peak),
        "warmup_cosine": optax.warmup_cosine_decay_schedule(0.0, peak, warm, STEPS, end),
        "warmup_linear": optax.join_schedules([rising, falling], [warm]),
    }[schedule]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_is_that_of_optax(schedule):
    rates = {"learning_rate": 0.3, "warmup_steps": 7, "end_rate": 0.01, "total_steps": STEPS}
    names = inspect.signature(SCHEDULES[schedule]).parameters
    rate = SCHEDULES[schedule](**{name: rates[name] for name in names})
    expected = by_optax(schedule, 0.3, 7, 0.01)
    steps = jnp.arange(STEPS + 5)
    np.testing.assert_allclose(jax.vmap(rate)(steps), jax.vmap(expected)(steps), rtol=1e-5)


def test_peak_and_warm_up_are_axes_of_one_program_and_the_steps_come_from_the_sweep(on_advance):
    """On a constant gradient, gradient descent sums up the rates."""
    seen = set()
    on_advance(lambda launch, *others: seen.add(launch.program))
    problem = pj.Problem(lambda x: x.sum() + 100.0, lambda key: np.zeros(1), "slope")
    grid = pj.Grid(learning_rate=[0.1, 0.2, 0.3], warmup_steps=[0, 4, 10])
    descent = pj.scheduled(optax.sgd, "warmup_cosine")
    swept = pj.sweep(problem, descent, grid, steps=STEPS, windows=STEPS)
    assert len(seen) == 1
    assert swept.attrs["fixed"]["total_steps"] == STEPS
    for peak in (0.1, 0.3):
        for warm in (4, 10):
            rate = by_optax("warmup_cosine", peak, warm, 0.0)
            moved = np.cumsum([np.asarray(rate(step)) for step in range(STEPS)])
            cell = swept.loss_mean.sel(learning_rate=peak, warmup_steps=warm)
            np.testing.assert_allclose(cell[1:], 100 - moved[:-1], rtol=1e-6)


def test_a_gradient_is_clipped_to_a_norm():
    problem = pj.Problem(lambda x: 30 * x[0] + 40 * x[1] + 1e4, lambda key: np.zeros(2))
    grid = {"learning_rate": 0.1, "warmup_steps": 0, "clip_norm": 2.0}
    path = pj.trajectory(problem, pj.scheduled(optax.sgd, "warmup"), steps=[0, 1, 2], **grid)
    np.testing.assert_allclose(path[2], 2 * 0.1 * 2 * np.array([-0.6, -0.8]))


def test_a_scheduled_optimizer_is_swept_zoomed_and_replayed_by_name(tmp_path, capsys):
    store = str(tmp_path / "s.zarr")
    words = f"sweep --problem quadratic --optimizer adamw+warmup_cosine --store {store}"
    axes = "--learning-rate 1e-3:1:3 --axis warmup_steps=1:100:3 --axis clip_norm=1"
    assert cli.main([*words.split(), *axes.split(), "--steps", "256"]) == 0
    dataset = pj.open_dataset(store)
    assert dataset.attrs["optimizer"] == "adamw+warmup_cosine"
    replayed = pj.replay(dataset, pj.problems.quadratic(), learning_rate=1, warmup_steps=10)
    assert replayed.attrs["same_bits"]
    zoomed = str(tmp_path / "z.zarr")
    assert cli.main(["zoom", store, "--to", "learning_rate=1e-2:1", "--store", zoomed]) == 0
    assert pj.open_dataset(zoomed).attrs["fixed"]["total_steps"] == 256
    capsys.readouterr()


def test_a_partial_keeps_its_arguments():
    nesterov = pj.scheduled(functools.partial(optax.adam, nesterov=True), "cosine")
    grid = pj.Grid(learning_rate=[1e-2, 1e-1])
    ours = pj.sweep(pj.problems.quadratic(), nesterov, grid, steps=64, windows=64)
    named = pj.sweep(pj.problems.quadratic(), by_name("nadam+cosine"), grid, steps=64, windows=64)
    np.testing.assert_array_equal(ours.loss_mean, named.loss_mean)


REFUSED = {
    "adam+warmup": "'adam': must be one of optax .*a and b need a fixed rate",
    "adamw+warmpu": "schedule = 'warmpu'.*did you mean 'warmup'",
    "polyak_sgd+cosine": "an argument learning_rate",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_no_schedule_is_refused(name):
    with pytest.raises(ValueError, match=REFUSED[name]):
        by_name(name)


def test_a_missing_warm_up_is_named():
    with pytest.raises(ValueError, match="warmup_steps is missing"):
        pj.sweep(
            pj.problems.quadratic(),
            pj.scheduled(optax.sgd, "warmup"),
            pj.Grid(learning_rate=[0.1, 0.2]),
        )
