"""Shapes of training losses: noise, floors, single spikes, gaps and logs that begin in the middle.

Each is one of a kind. Its label is what a person would say of the curve.
"""

import numpy as np
import pytest

import phasejax as pj

RNG = np.random.default_rng(0)
T = np.arange(3000)
S = np.arange(3600)


def spike(at, height, width=8.0, t=T):
    """A factor that is 10^height at one step, and one elsewhere."""
    return 10.0 ** (height * np.exp(-(((t - at) / width) ** 2)))


def train(height):
    """Thirteen spikes over a level of 0.03 after a descent."""
    t = np.arange(3900)
    return np.r_[np.geomspace(1, 0.03, 300), 0.03 * spike(150, height, 128**0.5, t % 300)]


def rates(*levels, noise=0.02, steps=900):
    """A loss that decays to a new level after each step of the learning rate."""
    t, low = np.arange(steps), 3.0
    parts = []
    for level in levels:
        parts.append(level + (low - level) * np.exp(-t / 60))
        low = level
    loss = np.concatenate(parts)
    return loss * (1 + noise * RNG.standard_normal(len(loss)))


def burst(at):
    """A jump by 3 that decays in some steps."""
    return np.where(at <= T, 3 * np.exp(-np.maximum(T - at, 0) / 4), 0)


def language_model(jumps):
    """20,000 steps with noise of 0.1 around 3.2, and jumps of one batch."""
    t = np.arange(20_000)
    loss = 3.2 + 4 * np.exp(-t / 1500) + 0.1 * RNG.standard_normal(len(t))
    for at, value in jumps.items():
        loss[at : at + 2] = value
    return loss


NORMAL = RNG.standard_normal(len(T))
JUMPS = {6000: 5.0, 11_000: 6.3, 13_500: 5.4, 17_000: 6.0}

SHAPES = {
    # a loss over an unknown floor
    "a slow power over 3": (3 + 7 / np.sqrt(np.arange(150) + 1), "descending", 0),
    "a slow power over 3, long": (3 + 7 / np.sqrt(np.arange(5000) + 1), "descending", 0),
    "a very slow power": ((1.0 + T) ** -0.05, "descending", 0),
    "a line": (np.linspace(1, 0.8, 4000), "descending", 0),
    "a decay to 0.3": (0.3 + np.exp(-T / 200), "converged", 0),
    "a decay to 0.1 with little noise": (
        np.exp(-T / 50) + 0.1 + 1e-6 * np.abs(NORMAL),
        "converged",
        0,
    ),
    "stuck at chance": (2.303 * (1 + 0.001 * NORMAL), "converged", 0),
    "above its start": (np.r_[2.18, 2.2, 2.25, 2.3, np.full(800, 2.31)], "converged", 0),
    "flat at 1e-12": (1e-12 + 0.7 * np.exp(-T / 30), "converged", 0),
    # a level, and what returns to it
    "three bursts over a level": (
        1 + 0.003 * NORMAL + sum(burst(at) for at in (500, 1200, 2100)),
        "spike",
        3,
    ),
    "a burst over a level": (1 + 0.003 * NORMAL + burst(500), "converged", 1),
    "rare dips": (1 - 0.05 * (RNG.random(len(T)) < 0.1), "converged", 0),
    # the scatter of the run itself
    **{f"thirteen spikes of {h}": (train(h), "spike", 13) for h in (0.5, 1.0, 2.2)},
    "eleven spikes over 0.03": (
        (0.03 + 3 / (1 + T / 20) ** 1.5)
        * np.prod([spike(400 + 230 * i, 0.7 + 0.065 * i, t=T) for i in range(11)], axis=0)
        * (1 + 0.05 * NORMAL),
        "spike",
        11,
    ),
    "one spike in a smooth descent": ((1.0 + T / 10) ** -1.5 * spike(2120, 1.8), "descending", 1),
    "a language model that jumps": (language_model(JUMPS), "spike", 4),
    "a language model": (language_model({}), "converged", 0),
    # the first value
    "bursts": (1e-3 * spike(200, 3, 32**0.5, S % 400), "spike", 9),
    "bursts after a start": (np.r_[1.0, 1e-3 * spike(200, 3, 32**0.5, S % 400)], "spike", 9),
    "a log from the middle": ((0.4 + T / 1000.0) ** -2.0, "descending", 0),
    "a first zero": (np.r_[0.0, 2.3 * np.exp(-T / 700)], "descending", 0),
    "a wave that begins low": (
        np.r_[0.005, 0.1 * (1 + 0.3 * np.sin(T / 5))],
        "oscillation",
        0,
    ),
    "a wave from zero": (1e-8 * np.sin(0.3 * T) ** 2 + 1e-12, "oscillation", 0),
    "normal noise": (np.abs(NORMAL), "oscillation", 0),
    # zeros, near-zeros and rounding
    "a descent to zero with rare specks": (
        np.where(T % 700 == 699, 2e-9, np.exp(-T / 20)).astype(np.float32) * (T % 700 == 699)
        + np.where(T < 400, np.exp(-T / 20), 0).astype(np.float32),
        "converged",
        None,
    ),
    "a two-cycle near the minimum": (np.where(T % 2, 5e-5, 1e-32), "oscillation", 0),
    "a two-cycle at the minimum": (np.where(T % 2, 5e-5, 0.0), "oscillation", 0),
    # gaps
    "rows that were not logged": (
        np.where(T % 10 == 5, np.nan, np.exp(-T / 1000)),
        "descending",
        0,
    ),
    "an early hole": (
        np.where((T > 500) & (T < 700), np.nan, np.exp(-T / 1000)),
        "descending",
        0,
    ),
    "a late hole": (
        np.where((T > 2000) & (T < 2300), np.nan, np.exp(-T / 1000)),
        "descending",
        0,
    ),
    "nan to the end": (np.where(T > 2000, np.nan, np.exp(-T / 1000)), "divergence", None),
    "lost at once": (np.r_[2.3, 4e5, 4e23, np.full(97, np.nan)], "divergence", None),
    "inf from the second loss on": (np.r_[2.3, np.full(99, np.inf)], "divergence", None),
    # others
    "steps of the learning rate": (rates(1.0, 0.6, 0.5), "converged", 0),
    "a mean of 100 steps": (
        (2 + np.exp(-np.arange(30_000) / 9000) + 0.3 * RNG.standard_normal(30_000))
        .reshape(-1, 100)
        .mean(1),
        "descending",
        0,
    ),
    "a negative loss": (-5 + 7 * np.exp(-T / 1500), "descending", 0),
    "an energy that rests": (-76.02 + 3 * np.exp(-T / 60), "converged", 0),
    "a negative loss that spikes": (
        -5
        + 3 * np.exp(-T / 100)
        + 2 * sum(spike(c, 1, t=T) - 1 for c in (900, 1500, 2100, 2600)) / 9,
        "spike",
        4,
    ),
    "away from the minimum": (
        np.r_[np.geomspace(2, 0.02, 500), np.geomspace(0.02, 9, 400)],
        "divergence",
        None,
    ),
    "a network that dies early": (
        np.r_[0.05 + 1.15 * np.exp(-np.arange(40) / 8), np.geomspace(1e6, 1, 60), np.ones(3000)],
        "divergence",
        None,
    ),
    "nine epochs and seven": (np.geomspace(2.3, 0.4, 16), "descending", 0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_the_label_that_a_person_gives_it(name):
    loss, label, spikes = SHAPES[name]
    regime = pj.classify_curve(loss)
    assert str(regime) == label
    if spikes is not None:
        assert len(regime.spikes) == spikes
