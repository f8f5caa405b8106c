"""Train the runs of the labelled logs: `python -m tests.labelled_logs.make [NAME …]`.

It needs PyTorch (`pip install 'phasejax[bench]'`) and takes about five minutes on one core. Another
version of PyTorch, JAX or Python gives other files, whose labels have to be looked at again.

The halves have no model in common. Thresholds may be set on `set`; `held-out` tests them.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from torch import nn  # pyright: ignore[reportMissingImports]

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
narrow = partial(T.classifier, datasets.load_digits, (3,))
diabetes = partial(T.regression, (32, 32))
characters = partial(T.transformer, "argparse")
cancer = partial(T.classifier, datasets.load_breast_cancer, (24, 24), nn.Tanh)
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
HELD_OUT: dict[str, Run] = {}
RUNS = SET | HELD_OUT


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
