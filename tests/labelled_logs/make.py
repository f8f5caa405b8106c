"""Train the runs of the labelled logs: `python -m tests.labelled_logs.make [NAME …]`.

It needs PyTorch (`pip install 'phasejax[bench]'`) and takes about ten minutes on one core. Another
version of PyTorch, JAX or Python gives other files, whose labels have to be looked at again.

The three parts have no model in common, but for a transformer of another size on another text.
Thresholds may be set on `set`; `held-out` tests them, but both were looked at while the rule was
tuned. `fresh` was made after the thresholds were set, and nobody who set them has looked at it.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # pyright: ignore[reportMissingImports]

from tests.labelled_logs import jax_models as J
from tests.labelled_logs import torch_models as T
from tests.labelled_logs.train import Record, Setting, train_jax, train_torch
from tests.labelled_logs.write import Row, save

FILES = Path(__file__).parent / "files"


class Run(NamedTuple):
    """A training, and how its log is kept."""

    build: Any
    setting: Setting
    kind: str
    """Format of the file."""
    every: int = 1
    """Steps per row."""
    average: bool = False
    """Whether a row is the mean over its steps, or the loss of its last step."""


S = Setting
digits = partial(T.classifier, datasets.load_digits, (32, 32))
smooth = partial(T.classifier, smoothing=0.1)
narrow = partial(T.classifier, datasets.load_digits, (3,))
diabetes = partial(T.regression, (32, 32))
characters = partial(T.transformer, "argparse")
cancer = partial(T.classifier, datasets.load_breast_cancer, (24, 24), nn.Tanh)
narrow_cancer = partial(T.classifier, datasets.load_breast_cancer, (1,), nn.Tanh)
wine = partial(T.classifier, datasets.load_wine, (16,))
recurrent = partial(T.recurrent, "typing")
uncertain = partial(T.uncertain, (32,))

SET = {
    "digits-1": Run(digits, S(28 * 30, batch=64), "Keras", 28, True),
    "digits-2": Run(digits, S(2000, 1e-2, "adam", b2=0.9, batch=64), "tabs"),
    "digits-3": Run(digits, S(3000, 0.03, "sgd", schedule="cosine", seed=1), "Lightning", 10, True),
    "digits-4": Run(digits, S(1500, 8.0, "sgd", batch=256, seed=2), "Hugging Face", 10, True),
    "digits-5": Run(digits, S(600, 1e-2, "adam", b2=0.5, batch=0), "JSON lines", 2),
    "digits-6": Run(narrow, S(4000, 0.05, "sgd", batch=16, seed=3), "W&B", 10, True),
    "digits-7": Run(digits, S(4000, 0.05, "sgd", b1=0.0, batch=1, seed=4), "semicolons", 4),
    "digits-8": Run(
        partial(smooth, datasets.load_digits, (32, 32, 32)),
        S(2500, 1e-2, "rmsprop", b2=0.99, batch=256, seed=5),
        "modded-nanogpt",
    ),
    "digits-9": Run(
        partial(smooth, datasets.load_digits, (32, 32)),
        S(2000, 1e-2, "adam", b2=0.95, batch=256, seed=6),
        "Hugging Face",
        20,
        True,
    ),
    "digits-10": Run(
        partial(smooth, datasets.load_digits, (48, 48, 48)),
        S(4000, 1e-2, "rmsprop", b2=0.95, batch=128, seed=7),
        "TensorBoard",
        4,
        True,
    ),
    "diabetes-1": Run(diabetes, S(2000, 1e-2, "adam", batch=0), "TensorBoard"),
    "diabetes-2": Run(diabetes, S(3000, 0.15, "sgd", batch=0), "nanotron", 2),
    "diabetes-3": Run(diabetes, S(300, 0.7, "sgd", batch=0), "Megatron", 2),
    "diabetes-4": Run(diabetes, S(3000, 1e-2, "rmsprop", b2=0.9, batch=0), "bare", 3),
    "diabetes-5": Run(diabetes, S(3000, 2e-3, schedule="cosine"), "nanotron", 10, True),
    "diabetes-6": Run(
        partial(T.regression, ()), S(4000, 0.01, "sgd", batch=8, seed=1), "Composer", 10
    ),
    "characters-1": Run(characters, S(800, 3e-3, warmup=50, schedule="cosine"), "nanoGPT"),
    "characters-2": Run(
        characters,
        S(800, 5e-3, "adam", b2=0.99, corrupt=(190, 307, 355, 528, 622, 701), seed=1),
        "modded-nanogpt",
    ),
    "characters-3": Run(characters, S(2500, 2e-2, b2=0.99, batch=0, seed=2), "llm.c", 2),
    "characters-4": Run(
        characters, S(900, 2e-3, warmup=50, resume=(620, 400), seed=3), "Megatron", 10
    ),
    "characters-5": Run(characters, S(500, 0.3, "adam", seed=4), "fairseq", 2),
    "characters-6": Run(
        characters, S(2400, 2e-2, schedule="waves", batch=16, seed=5), "Hugging Face", 5, True
    ),
    "characters-7": Run(characters, S(2000, 3e-2, batch=4, seed=6), "bare", 5),
    "autoencoder-1": Run(T.autoencoder, S(1500, 1e-3, batch=64), "Lightning", 5),
    "autoencoder-2": Run(T.autoencoder, S(28 * 90, 1e-2, "adam", batch=64), "Keras", 28, True),
    "autoencoder-3": Run(T.autoencoder, S(2500, 2e-2, batch=64, seed=1), "Composer"),
    "autoencoder-4": Run(T.autoencoder, S(400, 1.5e-2, "sgd", seed=2), "W&B", 2),
    "poisson-1": Run(J.poisson, S(4000, 1e-2, "adam", batch=0), "tabs", 2),
    "poisson-2": Run(J.poisson, S(4000, 3e-3, "adam", b2=0.95, batch=0), "bare", 4),
    "poisson-3": Run(J.poisson, S(600, 1e-3, "adam", batch=0, seed=1), "TensorBoard", 5),
    "poisson-4": Run(
        partial(J.poisson, frequency=1.0),
        S(5000, 1e-2, "rmsprop", b2=0.99, batch=64, schedule="staircase", seed=2),
        "fairseq",
        20,
        True,
    ),
    "factors-1": Run(J.factorisation, S(3000, 1.0, "sgd", b1=0.0), "nanotron", 3),
    "factors-2": Run(J.factorisation, S(1500, 1e-2, "adam", batch=0, seed=1), "JSON lines", 10),
    "factors-3": Run(
        partial(J.factorisation, noise=0.7),
        S(5000, 1e-2, "adam", batch=1, seed=2),
        "Composer",
        50,
        True,
    ),
    "factors-4": Run(
        partial(J.factorisation, noise=0.0), S(3000, 0.3, "adam", batch=0, seed=3), "bare"
    ),
    "factors-5": Run(J.factorisation, S(200, 30.0, "sgd", batch=0, seed=4), "semicolons", 2),
}
HELD_OUT = {
    "cancer-1": Run(cancer, S(1000, 1.0, "sgd", batch=0), "tabs", 5),
    "cancer-2": Run(cancer, S(35 * 50, 3e-3, batch=16, seed=1), "Keras", 35, True),
    "cancer-3": Run(narrow_cancer, S(3000, 0.3, "sgd", b1=0.0, batch=8, seed=1), "JSON lines", 2),
    "cancer-4": Run(
        cancer,
        S(1000, 2e-3, "sgd", batch=64, corrupt=(250, 375, 611, 760, 882), seed=2),
        "W&B",
    ),
    "cancer-5": Run(
        partial(smooth, datasets.load_breast_cancer, (24, 24, 24)),
        S(2000, 1e-2, "rmsprop", b2=0.99, batch=128, seed=1),
        "llm.c",
    ),
    "cancer-6": Run(
        partial(smooth, datasets.load_breast_cancer, (24, 24, 24, 24)),
        S(2500, 3e-2, "adam", b2=0.95, batch=0, seed=1),
        "Hugging Face",
        5,
    ),
    "cancer-7": Run(
        partial(smooth, datasets.load_breast_cancer, (24,)),
        S(3000, 3e-3, batch=64, schedule="cosine", seed=3),
        "nanotron",
        20,
        True,
    ),
    "wine-1": Run(wine, S(600, 3.0, "sgd", b1=0.0, batch=0), "semicolons", 20),
    "wine-2": Run(wine, S(800, 3e-2, "adam", b2=0.3, batch=0), "Hugging Face", 4),
    "wine-3": Run(wine, S(800, 0.3, "rmsprop", b2=0.9, batch=16, seed=3), "TensorBoard", 2),
    "wine-4": Run(
        partial(smooth, datasets.load_wine, (16,)), S(600, 1e-2, "adam", batch=0, seed=4), "bare", 5
    ),
    "wine-5": Run(
        partial(smooth, datasets.load_wine, (32, 32, 32)),
        S(3000, 1e-2, "rmsprop", b2=0.98, batch=64, seed=5),
        "W&B",
        2,
    ),
    "convolution-1": Run(T.convolutional, S(800, 3e-2, "adam", b2=0.9), "fairseq", 2),
    "convolution-2": Run(
        T.convolutional,
        S(1400, 1e-3, batch=64, schedule="cosine", seed=1),
        "Hugging Face",
        20,
        True,
    ),
    "convolution-3": Run(
        T.convolutional,
        S(14 * 120, 1e-2, "adam", batch=128, schedule="staircase", seed=2),
        "Keras",
        14,
        True,
    ),
    "convolution-4": Run(T.convolutional, S(600, 1.0, "adam", batch=64, seed=2), "tabs", 2),
    "convolution-5": Run(T.convolutional, S(200, 30.0, "sgd", seed=3), "JSON lines", 2),
    "recurrent-1": Run(
        recurrent,
        S(900, 1e-2, "rmsprop", b2=0.99, corrupt=(150, 290, 410, 444, 520, 611, 777, 830)),
        "llm.c",
    ),
    "recurrent-2": Run(recurrent, S(1200, 2.0, "sgd", seed=1), "nanoGPT", 2),
    "recurrent-3": Run(recurrent, S(2500, 5e-2, "adam", b2=0.99, batch=0, seed=3), "Megatron", 5),
    "recurrent-4": Run(
        recurrent, S(900, 3e-3, warmup=100, resume=(700, 500), seed=4), "modded-nanogpt", 5
    ),
    "recurrent-5": Run(recurrent, S(500, 1.0, "adam", b2=0.9, seed=2), "nanoGPT"),
    "recurrent-6": Run(
        recurrent, S(1500, 1e-2, clip=1.0, schedule="linear", seed=5), "nanotron", 10, True
    ),
    "recurrent-7": Run(
        recurrent, S(1500, 5e-3, batch=0, schedule="cosine", seed=6), "semicolons", 10
    ),
    "recurrent-8": Run(recurrent, S(1600, 4e-2, "adam", batch=4, seed=7), "fairseq", 4),
    "uncertain-1": Run(uncertain, S(2000, 1e-2, "adam", batch=0), "Lightning"),
    "uncertain-2": Run(
        partial(T.uncertain, (64, 64)), S(2500, 3e-3, "adam", batch=0, seed=1), "Composer", 2
    ),
    "uncertain-3": Run(uncertain, S(3000, 3e-3, "rmsprop", b2=0.9, batch=64, seed=2), "bare", 3),
    "uncertain-4": Run(
        partial(T.uncertain, (8,)), S(3000, 1e-2, batch=64, seed=1), "Lightning", 10
    ),
    "uncertain-5": Run(uncertain, S(300, 0.2, "sgd", batch=0, seed=3), "nanotron", 2),
    "uncertain-6": Run(
        partial(T.uncertain, ()), S(3000, 0.02, batch=16, seed=4), "TensorBoard", 10
    ),
    "burgers-1": Run(J.burgers, S(2000, 1e-2, "adam", batch=0), "TensorBoard", 2),
    "burgers-2": Run(J.burgers, S(2000, 0.05, "sgd", batch=0, seed=1), "W&B", 4, True),
    "burgers-3": Run(J.burgers, S(3000, 3e-3, "adam", batch=64, seed=2), "fairseq", 10, True),
    "burgers-4": Run(J.burgers, S(200, 0.2, "sgd", batch=0, seed=3), "Megatron", 2),
    "burgers-5": Run(J.burgers, S(2000, 2e-2, "adam", batch=0, seed=4), "tabs", 2),
    "burgers-6": Run(J.burgers, S(3000, 3e-3, "rmsprop", b2=0.99, batch=0, seed=5), "llm.c", 4),
    "mixture-1": Run(J.mixture, S(1500, 0.03, "adam", batch=0), "JSON lines", 5),
    "mixture-2": Run(J.mixture, S(3000, 3e-2, "adam", b2=0.9, seed=1), "semicolons", 3),
    "mixture-3": Run(J.mixture, S(2500, 3e-3, "sgd", batch=0), "nanotron", 10),
    "mixture-4": Run(J.mixture, S(3000, 0.3, "adam", b2=0.9, schedule="waves", seed=3), "bare", 5),
    "mixture-5": Run(
        J.mixture, S(3000, 0.3, "adam", b2=0.9, batch=16, schedule="restarts"), "Composer", 10, True
    ),
    "mixture-6": Run(J.mixture, S(1500, 1e-2, "adam", batch=0, seed=5), "modded-nanogpt", 5),
}

moons = partial(T.drawn, datasets.make_moons, n_samples=400, noise=0.25)
circles = partial(T.drawn, datasets.make_circles, n_samples=300, noise=0.1, factor=0.5)
roll = partial(T.drawn, datasets.make_swiss_roll, n_samples=500, noise=0.3)
friedman = partial(T.drawn, datasets.make_friedman1, n_samples=300, noise=1.0)
exact_friedman = partial(T.drawn, datasets.make_friedman2, n_samples=200)
linear = partial(T.perceptron, (), nn.Tanh)
deep = partial(T.perceptron, (12,) * 6, nn.Tanh)
swish = partial(T.perceptron, (32, 32), nn.SiLU)
residual = partial(T.Residual, 24, 3, 0.0)
soft = partial(F.cross_entropy, label_smoothing=0.1)
iris = partial(T.supervised, datasets.load_iris, residual)
memory = partial(T.memory, "json")
reader = partial(T.transformer, "heapq", 24, 1)
causal = partial(T.causal, "textwrap")
skips = partial(T.skip_gram, "textwrap")

FRESH = {
    "iris-1": Run(partial(iris, F.cross_entropy), S(800, 3e-2, "adam", b2=0.5, batch=0), "tabs", 2),
    "iris-2": Run(
        partial(iris, soft), S(1200, 1e-3, batch=0, schedule="cosine", seed=1), "nanotron", 4
    ),
    "iris-3": Run(
        partial(iris, soft),
        S(1500, 2e-3, batch=75, corrupt=(333, 480, 801, 942, 1177, 1360), seed=2),
        "W&B",
    ),
    "clusters-1": Run(
        T.clusters, S(3000, 0.02, "adam", batch=50, schedule="cosine"), "bare", 30, True
    ),
    "clusters-2": Run(
        partial(T.clusters, 6), S(3000, 0.3, "sgd", b1=0.0, batch=4, seed=1), "Composer", 10, True
    ),
    "moons-1": Run(
        partial(T.supervised, moons, linear, F.cross_entropy),
        S(1000, 0.3, "nesterov", batch=0),
        "JSON lines",
        5,
    ),
    "moons-2": Run(
        partial(T.supervised, moons, swish, F.cross_entropy),
        S(25 * 60, 3e-3, batch=16, schedule="cosine", seed=1),
        "Keras",
        25,
        True,
    ),
    "moons-3": Run(
        partial(T.supervised, moons, deep, soft), S(2500, 0.3, "sgd", batch=0, seed=3), "nanoGPT", 2
    ),
    "circles-1": Run(
        partial(T.supervised, circles, linear, F.cross_entropy),
        S(500, 1e-2, "adam", batch=0),
        "semicolons",
        5,
    ),
    "circles-2": Run(
        partial(T.supervised, circles, deep, soft),
        S(2500, 3e-3, "rmsprop", b2=0.99, batch=0, seed=1),
        "llm.c",
    ),
    "circles-3": Run(
        partial(T.supervised, circles, deep, F.cross_entropy),
        S(1500, 0.05, "sgd", batch=0, seed=2),
        "JSON lines",
        5,
    ),
    "roll-1": Run(
        partial(T.supervised, roll, swish, F.mse_loss, True),
        S(3000, 1e-2, "adam", b2=0.99, batch=0),
        "fairseq",
    ),
    "roll-2": Run(
        partial(T.supervised, roll, residual, F.mse_loss, True),
        S(1500, 3e-3, batch=50, warmup=100, schedule="linear", seed=1),
        "Hugging Face",
        10,
        True,
    ),
    "roll-3": Run(
        partial(T.supervised, roll, swish, F.mse_loss, True),
        S(150, 2.0, "nesterov", batch=50, seed=2),
        "Lightning",
    ),
    "friedman-1": Run(
        partial(T.supervised, friedman, partial(T.Residual, 24, 2, 0.3), F.huber_loss, True),
        S(3000, 1e-2, batch=16, seed=1),
        "nanotron",
        5,
        True,
    ),
    "friedman-2": Run(
        partial(T.supervised, exact_friedman, deep, F.mse_loss, True),
        S(3000, 5e-3, "adam", b2=0.99, batch=0, seed=2),
        "Megatron",
        4,
    ),
    "friedman-3": Run(
        partial(T.supervised, friedman, linear, T.pinball, True),
        S(3000, 0.1, "sgd", b1=0.0, batch=10, seed=3),
        "semicolons",
        5,
    ),
    "friedman-4": Run(
        partial(T.supervised, friedman, linear, F.huber_loss, True),
        S(3000, 0.03, "adam", batch=30, schedule="staircase", seed=4),
        "Keras",
        50,
        True,
    ),
    "linnerud-1": Run(
        partial(T.supervised, T.linnerud, linear, F.mse_loss, True),
        S(400, 0.8, "sgd", batch=5, seed=1),
        "JSON lines",
    ),
    "sparse-1": Run(T.sparse, S(1500, 1e-3, batch=50, schedule="cosine"), "Composer", 10, True),
    "sparse-2": Run(T.sparse, S(1500, 3e-2, "rmsprop", b2=0.99, batch=100, seed=1), "llm.c"),
    "sparse-3": Run(T.sparse, S(300, 40.0, "sgd", batch=100, seed=2), "Megatron"),
    "contrast-1": Run(
        T.contrastive, S(2000, 3e-3, "amsgrad", batch=64, seed=1), "Lightning", 10, True
    ),
    "contrast-2": Run(T.contrastive, S(1200, 0.1, "nesterov", batch=40, seed=2), "nanoGPT", 2),
    "picture-1": Run(T.picture, S(2500, 1e-3, "adam", batch=0, schedule="cosine"), "tabs", 10),
    "picture-2": Run(T.picture, S(2500, 1e-2, "adam", batch=0, seed=1), "TensorBoard", 2),
    "picture-3": Run(
        T.picture, S(1000, 3.0, "sgd", batch=0, warmup=1000, seed=2), "modded-nanogpt", 2
    ),
    "modular-1": Run(T.modular, S(2000, 2e-2, "adam", b2=0.95, batch=0), "Lightning", 2),
    "skips-1": Run(skips, S(2000, 3e-3, "adam", batch=64), "fairseq", 10, True),
    "memory-1": Run(memory, S(1000, 5e-3, warmup=50, clip=1.0), "nanotron", 2),
    "memory-2": Run(
        memory,
        S(900, 1e-2, "rmsprop", corrupt=(200, 301, 422, 455, 640, 731, 850), seed=1),
        "Hugging Face",
    ),
    "reader-1": Run(
        reader, S(1000, 3e-3, "adamw", warmup=30, resume=(560, 500), seed=1), "modded-nanogpt", 5
    ),
    "reader-2": Run(reader, S(500, 0.2, "rmsprop", b2=0.9, seed=2), "JSON lines"),
    "causal-1": Run(
        causal, S(1200, 3e-2, schedule="waves", batch=16, seed=1), "semicolons", 5, True
    ),
    "causal-2": Run(causal, S(800, 3.0, "nesterov", batch=8, warmup=800, seed=2), "Megatron", 4),
    "oscillator-1": Run(J.oscillator, S(4000, 1e-2, "adam", batch=0), "TensorBoard", 2),
    "oscillator-2": Run(J.oscillator, S(4000, 2e-3, "adam", batch=40, seed=1), "bare", 20, True),
    "heat-1": Run(J.heat, S(3000, 3e-3, "adam", batch=0, schedule="cosine"), "W&B", 5),
    "heat-2": Run(J.heat, S(3000, 1e-2, "adam", b2=0.995, batch=0, seed=1), "W&B", 2),
    "counts-1": Run(J.counts, S(800, 0.02, "adam", batch=0), "Keras", 8),
    "counts-2": Run(J.counts, S(300, 0.5, "sgd", batch=16, seed=1), "llm.c"),
    "tensor-1": Run(
        J.tensor, S(3000, 1e-2, "adam", batch=512, schedule="linear"), "Composer", 10, True
    ),
    "tensor-2": Run(
        partial(J.tensor, noise=0.5), S(3000, 3e-2, "adam", batch=32, seed=1), "nanoGPT", 10
    ),
    "tensor-3": Run(
        partial(J.tensor, noise=0.0),
        S(3000, 3e-2, "adam", b2=0.99, batch=0, seed=2),
        "TensorBoard",
        2,
    ),
}
RUNS = SET | HELD_OUT | FRESH


def rows(record: Record, run: Run, size: int) -> list[Row]:
    """The lines of a log."""
    out, first = [], 0
    total, batch = run.setting.steps, run.setting.batch or size
    last = run.every - 1 if run.average else 0
    for i, step in enumerate(record.step.astype(int)):
        if step % run.every != last:
            continue
        window = record.loss[first : i + 1]
        others = record.other[first : i + 1]
        other = others[~np.isnan(others)][-1:]
        out.append(
            Row(
                step=int(step) + run.average,
                loss=float(window.mean() if run.average else window[-1]),
                rate=float(record.rate[i]),
                norm=float(record.norm[i]),
                other=float(other[0]) if len(other) else float("nan"),
                total=total,
                epoch=(step + 1) * batch / size,
                low=float(window.min()),
                high=float(window.max()),
            )
        )
        first = i + 1
    return out


def make(name: str) -> Path:
    """Train a run and write its log."""
    run = RUNS[name]
    in_jax = getattr(run.build, "func", run.build).__module__ == J.__name__
    record = (train_jax if in_jax else train_torch)(run.build, run.setting)
    size = (run.build(run.setting.seed) if in_jax else run.build()).size
    return save(name, run.kind, rows(record, run, size), FILES)


def main(names: list[str]) -> None:
    """Make all, or the named ones."""
    FILES.mkdir(exist_ok=True)
    for name in names or RUNS:
        for old in FILES.glob(f"{name}.*"):
            old.unlink()
        path = make(name)
        print(f"{path.name}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
