"""Any arguments of `Grid` and `sweep` give a dataset, or one line that says what is wrong.

`PHASEJAX_FUZZ=2000 pytest tests/test_fuzz_python.py` tries as many examples.
"""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import phasejax as pj

from .fuzzing import fuzz


def squares(x):
    return jnp.sum(x**2)


def ones(key):
    return jnp.ones(2)


def warmed_up(peak, warmup_steps, rule="adam"):
    schedule = optax.warmup_cosine_decay_schedule(0.0, peak, warmup_steps, 64)
    return {"adam": optax.adam, "sgd": optax.sgd}[rule](schedule)


def nothing_of(x) -> Any:
    return None


def falling(x):
    return jnp.sum(x) + 2.5


NUMBERS = [1, 2.0, 0.5, 1e-3, np.float32(0.5), np.int64(2), jnp.array(0.25), 10.0]
ODD = [
    *[0, -1, 1e-320, 1e300, 10**400, float("nan"), float("inf"), True, None, 1j, "0.1", "x", ""],
    *[b"x", (), [], {}, {1}, object(), np.ones((2, 2)), [[1, 2], [3, 4]], [1, [2]], [1, None]],
    *[jnp.tanh, optax.adam, [optax.adam, optax.sgd], ["a", 1], [True, False], [1, 1], ["x", "x"]],
    *[[float("nan"), 1], [1e308, 1e-308], range(0), np.array(["a", "b"]), np.array([1, 2], object)],
]
AXES = [
    *[[1.0, 2.0], [1, 3], range(1, 3), np.array([0.1, 0.2]), jnp.array([0.1, 0.3])],
    *[pj.log_axis(0.1, 1, 2), pj.linear_axis(0.1, 1, 3), [0.001, 0.01]],
]
values = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(AXES), st.sampled_from(ODD))
NAMES = ["a", "b", "learning_rate", "eps", "eps_root", "seed", "b1", "peak", "warmup_steps", "rule"]
NAMES += ["window", "regime", "nesterov", "mask", "momentum"]
further = st.dictionaries(st.sampled_from(NAMES), values, max_size=1)
BASES = [
    (pj.adam, {"a": [1.0, 2.0], "b": 1.0}),
    (pj.rmsprop, {"a": pj.log_axis(1, 2, 2), "learning_rate": [0.01, 0.1]}),
    (optax.adam, {"learning_rate": [0.1, 0.2]}),
    (optax.adamw, {"b1": [0.1, 0.2], "learning_rate": 0.1}),
    (warmed_up, {"peak": [0.1, 0.2], "warmup_steps": [1, 2]}),
]
bases = st.sampled_from(BASES)
good_problems = st.sampled_from(
    [pj.problems.quadratic(), pj.problems.power(4), pj.Problem(squares, ones)]
)
odd_problems = st.sampled_from(
    [
        pj.Problem(squares, ones, batch_loss=lambda x, key, step: squares(x)),
        pj.Problem(falling, ones),
        pj.Problem(lambda x: jnp.sqrt(squares(x)), lambda key: jnp.zeros(1)),
        pj.Problem(lambda x: x, ones),
        pj.Problem(nothing_of, ones),
        pj.Problem(squares, lambda key: None),
        pj.Problem(squares, lambda key: [1, "x"]),
        *(None, squares, "quadratic"),
    ]
)
odd_dynamics = st.sampled_from(
    [
        *[pj.adam_flow, optax.contrib.sophia, lambda a, b: None, "adam", None, optax.adam(1)],
        pj.Optimizer(optax.adamw, (("mask", [True]),)),
    ]
)
lengths = st.sampled_from([16, 16.0, np.int64(24), 8, 0, -1, 2.5, "16", None, True, 2**40, [16]])
OPTIONS = {
    "windows": st.sampled_from([8.0, 7, 64, "8", None]),
    "steps": lengths,
    "time": st.sampled_from([0.5, 1, 0, -1.0, float("nan"), "1", True, np.float64(0.5)]),
    "dtype": st.sampled_from(["float64", "float32", "float16", None, np.float64]),
    "block_size": st.sampled_from([1, 2, 2.0, 0, "1", 1.5]),
    "refine": st.sampled_from([3, 3.0, {"a": 3}, {"x": 3}, 0, 2.5, "3", {"a": None}]),
    "overwrite": st.booleans(),
    "resume": st.booleans(),
    "executor": st.sampled_from([None, 3]),
}
one_option = st.sampled_from(list(OPTIONS)).flatmap(
    lambda name: st.fixed_dictionaries({name: OPTIONS[name]})
)
nothing = st.just({})


@pytest.fixture(scope="module", autouse=True)
def no_type_checker_speaks_first():
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@fuzz
@given(
    problem=st.one_of(good_problems, good_problems, odd_problems),
    base=bases,
    odd=st.one_of(st.none(), st.none(), st.none(), odd_dynamics),
    added=st.one_of(nothing, further, further),
    options=st.one_of(nothing, one_option),
)
def test_python_answers_with_a_dataset_or_one_line(problem, base, odd, added, options):
    dynamics, grid = base
    dynamics = odd or dynamics
    asked = {"windows": 8} | ({} if "time" in options else {"steps": 16}) | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = answer_of(lambda: pj.sweep(problem, dynamics, pj.Grid(**grid | added), **asked))
    if isinstance(answer, xr.Dataset):
        assert (answer.status == 1).all() or answer.attrs["refined_from"]
        assert not answer.attrs["failures"]
    else:
        assert "\n" not in answer.strip()
        assert 0 < len(answer) < 1000
    config: Any = jax.config
    assert not config.jax_enable_x64


def answer_of(call):
    try:
        return call()
    except (ValueError, TypeError) as error:
        return str(error)
