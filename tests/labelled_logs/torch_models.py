"""Small networks in PyTorch, each with its data: a function from a seed to a `Task`.

A task draws a batch of any size, and returns the loss of the batch; 0 means all data.
"""

import argparse
import asyncio.tasks
import dataclasses
import functools
import inspect
import itertools
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import torch  # pyright: ignore[reportMissingImports]
from sklearn import datasets
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # pyright: ignore[reportMissingImports]


class Task(NamedTuple):
    """A network with its loss, `loss(inputs, targets)`, and `draw(batch)`, which gives both."""

    network: Any
    loss: Callable[[Any, Any], Any]
    draw: Callable[[int], tuple[Any, Any]]
    size: int
    """Examples in an epoch."""


def table(load: Callable, scale_targets: bool = False) -> tuple[Any, Any]:
    """A table of scikit-learn with inputs of mean 0 and deviation 1."""
    data: Any = load()
    inputs = torch.tensor(data.data, dtype=torch.float32)
    inputs = (inputs - inputs.mean(0)) / inputs.std(0).clamp(min=1e-6)
    if not scale_targets:
        return inputs, torch.tensor(data.target, dtype=torch.long)
    targets = torch.tensor(data.target, dtype=torch.float32)[:, None]
    return inputs, (targets - targets.mean()) / targets.std()


def from_table(network: Any, loss: Callable, inputs: Any, targets: Any) -> Task:
    """Batches are drawn without replacement within an epoch; the last, smaller one is dropped."""
    order: list[int] = []

    def draw(batch: int) -> tuple[Any, Any]:
        if batch in (0, len(inputs)):
            return inputs, targets
        if len(order) < batch:
            order[:] = torch.randperm(len(inputs)).tolist()
        rows = [order.pop() for _ in range(batch)]
        return inputs[rows], targets[rows]

    return Task(network, lambda x, y: loss(network(x), y), draw, len(inputs))


def layers(sizes: tuple[int, ...], activation: Callable = nn.ReLU) -> Any:
    """A multilayer perceptron."""
    stack: list[Any] = []
    for before, after in itertools.pairwise(sizes):
        stack += [nn.Linear(before, after), activation()]
    return nn.Sequential(*stack[:-1])


def classifier(
    load: Callable, hidden: tuple[int, ...], activation: Callable = nn.ReLU, smoothing: float = 0.0
) -> Task:
    """Cross-entropy of a perceptron on a table of scikit-learn; smoothed labels set a floor."""
    inputs, targets = table(load)
    sizes = (inputs.shape[1], *hidden, int(targets.max()) + 1)
    loss = functools.partial(F.cross_entropy, label_smoothing=smoothing)
    return from_table(layers(sizes, activation), loss, inputs, targets)


def convolutional() -> Task:
    """Cross-entropy of a small convolutional network with batch normalisation, digits 8×8."""
    data: Any = datasets.load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    stages = [nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1)]
    network = nn.Sequential(*stages, nn.ReLU(), nn.Flatten(), nn.Linear(64, 10))
    return from_table(network, F.cross_entropy, images, torch.tensor(data.target))


def regression(hidden: tuple[int, ...], activation: Callable = nn.ReLU) -> Task:
    """Mean squared error on the diabetes data."""
    inputs, targets = table(datasets.load_diabetes, scale_targets=True)
    return from_table(layers((10, *hidden, 1), activation), F.mse_loss, inputs, targets)


def uncertain(hidden: tuple[int, ...]) -> Task:
    """Gaussian log-likelihood with a predicted variance, on diabetes; it may become negative."""

    def loss(predicted: Any, targets: Any) -> Any:
        mean, log_variance = predicted[:, :1], predicted[:, 1:]
        return 0.5 * (log_variance + (targets - mean) ** 2 / log_variance.exp()).mean()

    inputs, targets = table(datasets.load_diabetes, scale_targets=True)
    return from_table(layers((10, *hidden, 2), nn.Tanh), loss, inputs, targets)


class Autoencoder(nn.Module):
    """A variational autoencoder of the digits with a learned variance of each pixel."""

    def __init__(self, hidden: int, latent: int):
        super().__init__()
        self.encoder = layers((64, hidden, 2 * latent))
        self.decoder = layers((latent, hidden, 64))
        self.log_variance = nn.Parameter(torch.zeros(64))

    def forward(self, images: Any) -> Any:
        mean, log_variance = self.encoder(images).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2
        wrong = (images - self.decoder(code)) ** 2 / self.log_variance.exp()
        return ((wrong + self.log_variance).sum(1) / 2 + divergence).mean()


def autoencoder(hidden: int = 64, latent: int = 6) -> Task:
    """Minus the evidence lower bound on the digits, in nats per image up to a constant."""
    data: Any = datasets.load_digits()
    images = torch.tensor(data.data, dtype=torch.float32) / 16
    return from_table(Autoencoder(hidden, latent), lambda loss, _: loss, images, images)


class Transformer(nn.Module):
    """A small causal transformer over characters."""

    def __init__(self, characters: int, width: int, depth: int, length: int):
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.02)
        layer = functools.partial(nn.TransformerEncoderLayer, width, 4, 4 * width, dropout=0.0)
        block = layer(batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, characters)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))

    def forward(self, text: Any) -> Any:
        embedded = self.embedding(text) + self.position
        return self.head(self.blocks(embedded, mask=self.mask, is_causal=True))


class Recurrent(nn.Module):
    """A GRU over characters."""

    def __init__(self, characters: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.cell = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, characters)

    def forward(self, text: Any) -> Any:
        return self.head(self.cell(self.embedding(text))[0])


SOURCES = {
    "argparse": argparse,
    "typing": typing,
    "dataclasses": dataclasses,
    "tasks": asyncio.tasks,
}


EXCERPT = 12
"""Sequences from the start of a text that are learned by heart if the batch is 0."""


def language(source: str, build: Callable, length: int) -> Task:
    """Cross-entropy of the next character in the source of a module of Python's library."""
    text = inspect.getsource(SOURCES[source])
    codes = {character: code for code, character in enumerate(sorted(set(text)))}
    data = torch.tensor([codes[character] for character in text])
    network, positions = build(len(codes)), torch.arange(length)

    def loss(inputs: Any, targets: Any) -> Any:
        return F.cross_entropy(network(inputs).flatten(0, 1), targets.flatten())

    def draw(batch: int) -> tuple[Any, Any]:
        anywhere = torch.randint(len(data) - length, (batch, 1))
        starts = (anywhere if batch else length * torch.arange(EXCERPT)[:, None]) + positions
        return data[starts], data[starts + 1]

    return Task(network, loss, draw, len(data) // length)


def transformer(source: str, width: int = 32, depth: int = 2, length: int = 32) -> Task:
    """A transformer on a source text."""
    return language(source, lambda n: Transformer(n, width, depth, length), length)


def recurrent(source: str, width: int = 48, length: int = 24) -> Task:
    """A GRU on a source text."""
    return language(source, lambda n: Recurrent(n, width), length)
