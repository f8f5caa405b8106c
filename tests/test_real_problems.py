"""Problems with data: modular addition, digits by convolution and by an autoencoder, text."""

import hashlib
import json
import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from sklearn.datasets import load_digits

import phasejax as pj
from phasejax import cli
from phasejax.probes.hessian import gauss_newton_of
from phasejax.problems.modular_addition import split_pairs
from phasejax.problems.problem import fingerprint, initial_params, trace_of

TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n" * 3
P = pj.problems


def numbers_of(text, symbols):
    """Rank of every character by frequency, then by code; the last one stands for the rest."""
    order = sorted(set(text), key=lambda c: (-text.count(c), c))
    return np.array([min(order.index(c), symbols - 1) for c in text])


NAMES = ("modular_addition", "convnet", "autoencoder", "characters")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "hamlet.txt"
    path.write_text(TEXT, "utf-8")
    return path


@pytest.fixture(scope="module")
def small(text):
    """A small problem of each kind."""
    sizes: Any = {"symbols": 9, "context": 5, "width": 6, "heads": 3, "hidden": 7}
    return {
        "modular_addition": P.modular_addition(5, 6, 2, 7),
        "convnet": P.convnet(20, (3, 4)),
        "autoencoder": P.autoencoder(20, (5, 3)),
        "characters": P.characters(text, batch_size=4, evaluation=3, **sizes),
    }


def random_point(problem, seed=1):
    """A start with all biases different from zero."""
    rng = np.random.default_rng(seed)
    params = initial_params(problem, seed)
    return jax.tree.map(lambda x: x + 0.3 * rng.normal(size=x.shape), params)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def layer(p, x, heads):
    """One transformer layer on one sequence `[places, width]`, head by head and place by place."""
    size = x.shape[1] // heads
    query, key, value = (x @ p[name].T for name in ("query", "key", "value"))
    attended = np.zeros_like(x)
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        for t in range(len(x)):
            scores = key[: t + 1, part] @ query[t, part] / np.sqrt(size)
            attended[t, part] = softmax(scores) @ value[: t + 1, part]
    x = x + attended @ p["output"].T
    return x + np.maximum(x @ p["up"].T + p["up_bias"], 0) @ p["down"].T + p["down_bias"]


def sequence_logits(p, symbols, heads):
    """Logits `[places, classes]` of one sequence."""
    return layer(p, p["embed"].T[symbols] + p["position"].T, heads) @ p["unembed"].T


def nats(logits, label):
    return -np.log(softmax(logits)[label])


def modular_by_hand(p, text):
    (first, second), _ = split_pairs(5, 0.8, 0)
    pairs = zip(first, second, strict=True)
    each = [nats(sequence_logits(p, [a, b, 5], 2)[-1], (a + b) % 5) for a, b in pairs]
    assert len(each) == 20
    return np.mean(each)


def convnet_by_hand(layers, text):
    data: Any = load_digits()
    (kernels, b1), (second, b2), (last, b3) = layers
    kernels, second = kernels.reshape(3, 3, 3), second.reshape(4, 3, 2, 2)
    total = []
    for image, label in zip(data.images[:20] / 16, data.target[:20], strict=True):
        padded = np.pad(image, 1)
        x = np.zeros((3, 4, 4))
        for c, i, j in np.ndindex(x.shape):
            window = padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            x[c, i, j] = max(np.sum(kernels[c] * window) + b1[c], 0)
        y = np.zeros((4, 2, 2))
        for c, i, j in np.ndindex(y.shape):
            window = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            y[c, i, j] = max(np.sum(second[c] * window) + b2[c], 0)
        total.append(nats(last @ y.ravel() + b3, label))
    return np.mean(total)


def autoencoder_by_hand(layers, text):
    data: Any = load_digits()
    x = images = data.data[:20] / 16
    for weights, bias in layers[:-1]:
        x = np.tanh(x @ weights.T + bias)
    return np.mean((x @ layers[-1][0].T + layers[-1][1] - images) ** 2)


def characters_by_hand(p, text):
    symbols = numbers_of(text.read_text("utf-8"), 9)
    losses = []
    for start in np.linspace(0, len(symbols) - 6, 3).astype(int):
        window = symbols[start : start + 6]
        logits = sequence_logits(p, window[:-1], 3)
        losses += [nats(*pair) for pair in zip(logits, window[1:], strict=True)]
    return np.mean(losses)


BY_HAND = {
    "modular_addition": modular_by_hand,
    "convnet": convnet_by_hand,
    "autoencoder": autoencoder_by_hand,
    "characters": characters_by_hand,
}


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_are_those_of_the_model_written_out(name, text, small):
    """The loss in NumPy, sample by sample, and its finite differences along three directions."""
    problem: Any = small[name]
    outputs, of_outputs = problem.loss.func.parts
    data, params = problem.loss.args, random_point(problem)
    rng = np.random.default_rng(2)

    def by_hand(params):
        return BY_HAND[name](params, text)

    @jax.jit
    def all_of(params):
        return *jax.value_and_grad(problem.loss)(params), of_outputs(*data, outputs(*data, params))

    with jax.enable_x64(True):
        loss, gradient, from_parts = all_of(params)
    assert float(loss) == pytest.approx(by_hand(params), rel=1e-10)
    assert float(from_parts) == pytest.approx(float(loss), rel=1e-14)
    for _ in range(3):
        along = jax.tree.map(lambda x: rng.normal(size=x.shape), params)
        low, high = (
            by_hand(jax.tree.map(lambda x, d, s=s: x + s * d, params, along)) for s in (-1e-5, 1e-5)
        )
        products = jax.tree.map(lambda g, d: np.sum(np.asarray(g) * d), gradient, along)
        assert sum(jax.tree.leaves(products)) == pytest.approx((high - low) / 2e-5, rel=1e-4)


def test_the_gauss_newton_matrix_of_a_classifier_is_that_of_its_jacobian():
    """Jᵀ (diag p − p pᵀ) J, mean over samples, with the probabilities p of each."""
    problem: Any = P.convnet(6, (1, 1))
    outputs, _ = problem.loss.func.parts
    with jax.enable_x64(True):
        start, unravel = ravel_pytree(initial_params(problem, 0))
    vector = np.random.default_rng(0).normal(size=start.size)

    @jax.jit
    def found(flat, vector):
        def logits(flat):
            return outputs(*problem.loss.args, unravel(flat)).T

        _, product = gauss_newton_of(problem.loss, unravel(flat))
        return product(vector), logits(flat), jax.jacobian(logits)(flat)

    with jax.enable_x64(True):
        product, logits, jacobian = (np.asarray(x) for x in found(start, vector))
    expected = np.zeros_like(vector)
    for p, J in zip(map(softmax, logits), jacobian, strict=True):
        expected += J.T @ (np.diag(p) - np.outer(p, p)) @ (J @ vector) / len(logits)
    np.testing.assert_allclose(product, expected, atol=1e-12)


def test_no_later_character_changes_an_earlier_prediction(small):
    problem: Any = small["characters"]
    params, (windows,) = random_point(problem), problem.loss.args
    logits = jax.jit(problem.loss.func.parts[0])
    context = len(windows) - 1
    with jax.enable_x64(True):
        before = np.asarray(logits(windows, params)).reshape(-1, context, windows.shape[1])
        for place in range(context):
            other = windows.copy()
            other[place] = (other[place] + 1) % 9
            after = np.asarray(logits(other, params)).reshape(before.shape)
            np.testing.assert_array_equal(after[:, :place], before[:, :place])
            assert (np.abs(after[:, place] - before[:, place]).max(axis=0) > 1e-3).all()


def test_the_sum_is_invariant_under_symmetries_of_addition():
    """With all pairs, for any weights.

    First and second change places with their positions; and multiplication by 2 is an automorphism
    of addition modulo 5.
    """
    problem = P.modular_addition(5, 6, 2, 7, fraction=1.0)
    params, doubled = random_point(problem), np.arange(5) * 2 % 5
    exchanged = params | {"position": params["position"][:, [1, 0, 2]]}
    renamed = params | {
        "embed": params["embed"][:, [*doubled, 5]],
        "unembed": params["unembed"][doubled],
    }
    other = params | {"unembed": params["unembed"][doubled]}
    with jax.enable_x64(True):
        loss = jax.jit(problem.loss)
        value, *same, different = (float(loss(p)) for p in (params, exchanged, renamed, other))
    assert same == pytest.approx([value, value], rel=1e-12)
    assert different != pytest.approx(value, rel=1e-6)


def test_the_split_is_a_partition_that_the_seed_determines():
    trained, held_out = split_pairs(7, 0.7, 3)
    pairs = np.concatenate([trained, held_out], axis=1)
    assert trained.shape == (2, 34)
    assert {tuple(pair) for pair in pairs.T} == {(a, b) for a in range(7) for b in range(7)}
    np.testing.assert_array_equal(trained, split_pairs(7, 0.7, 3)[0])
    assert not np.array_equal(trained, split_pairs(7, 0.7, 4)[0])
    assert split_pairs(7, 1.0)[1].shape == (2, 0)


def test_the_held_out_loss_is_that_of_the_other_pairs():
    """Both parts, weighted by their numbers, make the loss of all pairs."""
    part: Any = P.modular_addition(7, 6, 2, 7, fraction=0.7, split_seed=3)
    whole = P.modular_addition(7, 6, 2, 7, fraction=1.0)
    params = random_point(part)
    with jax.enable_x64(True):
        losses = [float(jax.jit(loss)(params)) for loss in (part.loss, part.validation_loss)]
        together = float(jax.jit(whole.loss)(params))
    assert (34 * losses[0] + 15 * losses[1]) / 49 == pytest.approx(together, rel=1e-12)
    assert whole.validation_loss is None


@pytest.mark.parametrize(
    "make", [lambda: P.convnet(6, (2, 2), 1), lambda: P.autoencoder(6, (3,), batch_size=1)]
)
def test_a_mini_batch_is_drawn_from_all_samples_with_replacement(make):
    """The mean over many batches of one image each is the loss of all images."""
    problem: Any = make()
    params = random_point(problem)
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 4096)
        drawn = np.asarray(jax.jit(jax.vmap(partial(problem.batch_loss, params)))(keys))
        mean = float(problem.loss(params))
    assert len(np.unique(drawn.round(12))) == 6
    assert abs(drawn.mean() - mean) < 4 * drawn.std() / np.sqrt(len(drawn))


def test_text_is_drawn_from_every_place(text):
    """Batches of one window take every window of the text, and no other."""
    problem: Any = P.characters(text, context=4, width=4, heads=1, batch_size=1, evaluation=1)
    params = random_point(problem)
    symbols = numbers_of(TEXT, 32)
    windows = [symbols[start : start + 5] for start in range(len(symbols) - 4)]
    by_hand = {
        round(np.mean([nats(*pair) for pair in zip(logits, w[1:], strict=True)]), 9)
        for w, logits in ((w, sequence_logits(params, w[:-1], 1)) for w in windows)
    }
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 4096)
        drawn = np.asarray(jax.jit(jax.vmap(partial(problem.batch_loss, params)))(keys))
    assert {round(float(x), 9) for x in drawn} == by_hand


CONSTANT = {
    "modular_addition": lambda text: np.log(11),
    "convnet": lambda text: np.log(10),
    "autoencoder": lambda text: np.mean(np.var(load_digits().data[:256] / 16, axis=0)),  # pyright: ignore
    "characters": lambda text: entropy(numbers_of(TEXT, 32)),
}
"""Loss of the best constant prediction, or of all logits equal."""


def entropy(symbols):
    shares = np.bincount(symbols) / len(symbols)
    return -np.sum(shares * np.log(shares))


@pytest.mark.parametrize("name", NAMES)
def test_a_short_run_of_adam_beats_the_constant_prediction(name, text):
    problem = P.characters(text) if name == "characters" else P.BUILT_IN[name]()
    optimizer, constant = optax.adam(1e-2), CONSTANT[name](text)

    def step(carry, key):
        params, state = carry
        if problem.batch_loss is None:
            gradient = jax.grad(problem.loss)(params)
        else:
            gradient = jax.grad(problem.batch_loss)(params, key)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def losses(params):
        keys = jax.random.split(jax.random.key(0), 150)
        (end, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), keys)
        return jnp.stack([problem.loss(params), problem.loss(end)])

    before, after = np.asarray(losses(jax.tree.map(jnp.float32, initial_params(problem, 0))))
    assert before > 0.9 * constant
    assert after < 0.7 * constant


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_arguments_make_the_same_problem(name, small):
    """As `zoom` does on the command line."""
    problem = small[name]
    again = P.BUILT_IN[name](**json.loads(json.dumps(problem.config)))
    assert again.config == problem.config
    starts = [initial_params(problem, 0)]
    prints = [fingerprint(trace_of(p, starts[0]), starts) for p in (again, problem)]
    assert prints[0] == prints[1]


def test_the_text_is_recorded_and_must_be_the_same(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(TEXT, "utf-8")
    problem = P.characters(text)
    assert problem.config["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    again = P.characters(**problem.config)
    assert again.config == problem.config
    text.write_text(TEXT[:-1], "utf-8")
    with pytest.raises(ValueError, match=r"sha256 = '\w+': must be \w+, the hash of the file"):
        P.characters(**problem.config)


def test_by_default_the_text_is_pythons_own_sources():
    import bisect
    import heapq
    import inspect

    config = P.characters(modules=("heapq", "bisect")).config
    sources = inspect.getsource(heapq) + inspect.getsource(bisect)
    assert config["modules"] == ["heapq", "bisect"]
    assert config["sha256"] == hashlib.sha256(sources.encode()).hexdigest()
    assert P.characters().config["modules"][0] == "argparse"


def test_symbols_are_the_most_frequent_characters(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("aaaabbbcçç€ddddd", "utf-8")
    problem: Any = P.characters(path, symbols=4, context=2, batch_size=1, evaluation=1)
    (encoded,) = problem.batch_loss.args
    np.testing.assert_array_equal(encoded, [1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 0, 0])
    assert initial_params(problem, 0)["unembed"].shape == (4, 16)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cross_entropy_is_optaxs(axis):
    rng = np.random.default_rng(0)
    logits, labels = 30 * rng.normal(size=(6, 5)), rng.integers(5, size=6)
    with jax.enable_x64(True):
        expected = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        turned = np.moveaxis(logits, -1, axis)
        found = P.cross_entropy(turned, labels, axis=axis)
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_their_number():
    with jax.enable_x64(True):
        found = P.cross_entropy(np.full((2, 3, 7), 1e5), np.arange(6).reshape(2, 3))
    assert float(found) == pytest.approx(np.log(7), rel=1e-9)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_out_of_range_makes_the_loss_nan(label):
    assert np.isnan(P.cross_entropy(np.zeros((2, 3)), np.array([0, label])))


def test_cross_entropy_refuses_shapes_that_do_not_agree():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3,\)': must be equal without"):
        P.cross_entropy(np.zeros((2, 3)), np.zeros(3, int))


BAD = {
    "modulus = 1": lambda text: P.modular_addition(1),
    "heads = 5: must be a divisor of width = 24": lambda text: P.modular_addition(heads=5),
    "heads = 5: must be a divisor of width = 16": lambda text: P.characters(heads=5),
    "fraction = 1.5": lambda text: P.modular_addition(fraction=1.5),
    "fraction = 0.001: .* one or more of 25 pairs": lambda text: split_pairs(5, 0.001),
    "fraction = nan": lambda text: split_pairs(5, np.nan),
    "split_seed = -1": lambda text: P.modular_addition(split_seed=-1),
    "hidden = 0": lambda text: P.modular_addition(hidden=0),
    "samples = 1798: must be at most 1797": lambda text: P.convnet(1798),
    "channels = .* two numbers": lambda text: P.convnet(channels=(3,)),
    "batch_size = 21: must be at most 20": lambda text: P.convnet(20, batch_size=21),
    "batch_size = 30: must be at most 20": lambda text: P.autoencoder(20, batch_size=30),
    "hidden = .*one or more": lambda text: P.autoencoder(hidden=()),
    "activation = 'rellu': .* did you mean 'relu'": lambda text: P.autoencoder(activation="rellu"),
    "path = '.*nowhere': must be a readable text file": lambda text: P.characters(
        text.with_name("nowhere")
    ),
    "path = '.*empty': must be a text of two": lambda text: P.characters(empty(text)),
    "path = '.*binary': must be a readable text file in UTF-8": lambda text: P.characters(
        binary(text)
    ),
    "batch_size = 8: must be at most 0, .* a text of 255": lambda text: P.characters(
        text, context=255
    ),
    "batch_size = 300: must be at most 239": lambda text: P.characters(text, batch_size=300),
    "evaluation = 300: must be at most 239": lambda text: P.characters(text, evaluation=300),
    "modules = 'no_such_module'": lambda text: P.characters(modules=("no_such_module",)),
    "modules = 'sys': must be the name .* source": lambda text: P.characters(modules=("sys",)),
    "modules = 'heapq': must be a list": lambda text: P.characters(modules="heapq"),
    "symbols = 1": lambda text: P.characters(text, symbols=1),
}


def empty(text):
    path = text.with_name("empty")
    path.write_text("")
    return path


def binary(text):
    path = text.with_name("binary")
    path.write_bytes(b"\xff\xfe\xff")
    return path


@pytest.mark.parametrize("message", BAD)
def test_bad_arguments_are_named(message, text):
    with pytest.raises(ValueError, match=message):
        BAD[message](text)


def test_the_command_line_sweeps_a_text(text, monkeypatch, capsys):
    monkeypatch.chdir(text.parent)
    words = "sweep --problem characters --problem-arg path=hamlet.txt --problem-arg width=4 "
    words += "--optimizer optax.adam --learning-rate 1e-3:1e-1:2 --steps 32 --windows 8"
    assert cli.main(words.split()) == 0
    assert "2 cells:" in capsys.readouterr().out
    stored = pj.open_dataset("sweep.zarr")
    assert stored.attrs["problem_arguments"]["sha256"] == P.characters(text).config["sha256"]
    assert cli.main([*words.split(), "--overwrite", "--problem-arg", "batch_size=999"]) == 2
    assert "batch_size = 999: must be at most" in capsys.readouterr().err


def run_script(arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["models.py", *arguments])
    runpy.run_path(str(Path(__file__).parents[1] / "sweeps" / "models.py"))


def test_a_script_runs_and_resumes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        run_script(["autoencoder", "2", "256"], monkeypatch)
        assert "4 cells:" in capsys.readouterr().out
    assert Path("out/autoencoder/phase_diagram.png").exists()


def test_the_script_of_a_text_says_what_is_wrong_with_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        run_script(["characters", "--path", "nowhere"], monkeypatch)
    assert "path = 'nowhere': must be a readable text file" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run_script(["convnet", "--path", "nowhere"], monkeypatch)
    assert "only characters reads a text" in capsys.readouterr().err
