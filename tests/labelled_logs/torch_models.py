"""Small networks in PyTorch, each with its data: a function from a seed to a `Task`.

A task draws a batch of any size, and returns the loss of the batch; 0 means all data.
"""

import argparse
import asyncio.tasks
import dataclasses
import functools
import heapq
import inspect
import itertools
import json.decoder
import re
import textwrap
import typing
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
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
    "json": json.decoder,
    "heapq": heapq,
    "textwrap": textwrap,
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


def drawn(make: Callable, **options: Any) -> Any:
    """Data that scikit-learn draws, in the form of its tables."""
    inputs, targets = make(random_state=0, **options)
    return SimpleNamespace(data=inputs, target=targets)


def linnerud() -> Any:
    """Exercises of twenty men, and their weight."""
    data: Any = datasets.load_linnerud()
    return SimpleNamespace(data=data.data, target=data.target[:, 0])


def supervised(load: Callable, build: Callable, loss: Callable, regress: bool = False) -> Task:
    """A network `build(inputs, outputs)` on any table, with any loss."""
    inputs, targets = table(load, scale_targets=regress)
    outputs = 1 if regress else int(targets.max()) + 1
    return from_table(build(inputs.shape[1], outputs), loss, inputs, targets)


def perceptron(hidden: tuple[int, ...], activation: Callable, inputs: int, outputs: int) -> Any:
    """A multilayer perceptron for `supervised`."""
    return layers((inputs, *hidden, outputs), activation)


class Residual(nn.Module):
    """Blocks that add a perceptron of the normalised state, with dropout."""

    def __init__(self, width: int, depth: int, dropout: float, inputs: int, outputs: int):
        super().__init__()
        self.first, self.last = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), layers((width, width, width), nn.GELU), nn.Dropout(dropout)
            )
            for _ in range(depth)
        )

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


def pinball(predicted: Any, targets: Any, quantile: float = 0.9) -> Any:
    """Loss of quantile regression."""
    wrong = targets - predicted
    return torch.maximum(quantile * wrong, (quantile - 1) * wrong).mean()


class Centres(nn.Module):
    """Squared distance to the nearest of some centres, as in k-means."""

    def __init__(self, inputs: int, count: int):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(count, inputs))

    def forward(self, x: Any) -> Any:
        return ((x[:, None] - self.centres) ** 2).sum(2).min(1).values


def clusters(count: int = 3) -> Task:
    """K-means of the iris data."""
    inputs, targets = table(datasets.load_iris)
    network = Centres(inputs.shape[1], count)
    return from_table(network, lambda distance, _: distance.mean(), inputs, targets)


def photograph(name: str) -> np.ndarray:
    """A grey photograph of scikit-learn, 0 to 1."""
    return datasets.load_sample_image(name).mean(2) / 255


def patches(count: int = 2000, size: int = 6) -> Any:
    """Square patches of a photograph with mean 0."""
    grey, rng = photograph("china.jpg"), np.random.default_rng(0)
    corners = rng.integers(0, np.array(grey.shape) - size, (count, 2))
    cut = np.stack([grey[i : i + size, j : j + size].ravel() for i, j in corners])
    return torch.tensor(4 * (cut - cut.mean(1, keepdims=True)), dtype=torch.float32)


def sparse(hidden: int = 72, penalty: float = 0.02) -> Task:
    """An autoencoder of patches with a penalty on the sum of its units."""
    images = patches()
    network = layers((images.shape[1], hidden, images.shape[1]))

    def loss(inputs: Any, targets: Any) -> Any:
        code = torch.relu(network[0](inputs))
        return ((network[2](code) - targets) ** 2).mean() + penalty * code.mean(0).sum()

    draw = from_table(network, F.mse_loss, images, images).draw
    return Task(network, loss, draw, len(images))


def contrastive(width: int = 48, temperature: float = 0.2, noise: float = 0.3) -> Task:
    """Two noisy views of each patch find each other among those of the batch."""
    images = patches()
    network = layers((images.shape[1], width, 16), nn.SiLU)

    def loss(inputs: Any, _: Any) -> Any:
        one, two = (
            F.normalize(network(inputs + noise * torch.randn_like(inputs)), dim=1) for _ in range(2)
        )
        return F.cross_entropy(one @ two.T / temperature, torch.arange(len(inputs)))

    draw = from_table(network, F.mse_loss, images, images).draw
    return Task(network, loss, draw, len(images))


class Sine(nn.Module):
    """The sine of 15 times the input."""

    def forward(self, x: Any) -> Any:
        return torch.sin(15 * x)


def picture(width: int = 32, pixels: int = 24) -> Task:
    """A network with sines from the place to the brightness of a photograph."""
    grey = photograph("flower.jpg")
    rows, columns = (np.linspace(0, n - 1, pixels).astype(int) for n in grey.shape)
    values = torch.tensor(grey[np.ix_(rows, columns)].reshape(-1, 1), dtype=torch.float32)
    axis = torch.linspace(-1, 1, pixels)
    network = layers((2, width, width, 1), Sine)
    for layer in network[2::2]:
        nn.init.uniform_(layer.weight, -((6 / width) ** 0.5) / 15, (6 / width) ** 0.5 / 15)
    return from_table(network, F.mse_loss, torch.cartesian_prod(axis, axis), values)


def modular(prime: int = 23, width: int = 24) -> Task:
    """Cross-entropy of a sum of two numbers modulo a prime."""
    inputs = torch.cartesian_prod(torch.arange(prime), torch.arange(prime))
    head = layers((2 * width, 64, prime))
    network = nn.Sequential(nn.Embedding(prime, width), nn.Flatten(), head)
    return from_table(network, F.cross_entropy, inputs, inputs.sum(1) % prime)


def skip_gram(source: str, width: int = 16, window: int = 2, negatives: int = 4) -> Task:
    """Embeddings of the words of a text: neighbours against words drawn at random."""
    words = re.findall(r"\w+", inspect.getsource(SOURCES[source]).lower())
    codes = {word: code for code, word in enumerate(sorted(set(words)))}
    data = torch.tensor([codes[word] for word in words])
    network = nn.ModuleList(nn.Embedding(len(codes), width) for _ in range(2))

    def loss(centre: Any, near: Any) -> Any:
        vector = network[0](centre)[:, None]
        far = data[torch.randint(len(data), (len(centre), negatives))]
        right, wrong = ((vector * network[1](x)).sum(2) for x in (near[:, None], far))
        return -(F.logsigmoid(right).mean() + F.logsigmoid(-wrong).sum(1).mean())

    pairs = [torch.stack([data[:-d], data[d:]], 1) for d in range(1, window + 1)]
    centre, near = torch.cat(pairs).T
    draw = from_table(network, loss, centre, near).draw
    return Task(network, loss, draw, len(centre))


class Memory(nn.Module):
    """Two layers of LSTM over characters."""

    def __init__(self, characters: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.cells = nn.LSTM(width, width, 2, batch_first=True)
        self.head = nn.Linear(width, characters)

    def forward(self, text: Any) -> Any:
        return self.head(self.cells(self.embedding(text))[0])


def memory(source: str, width: int = 32, length: int = 20) -> Task:
    """An LSTM on a source text."""
    return language(source, lambda n: Memory(n, width), length)


class Causal(nn.Module):
    """Dilated convolutions over the characters so far."""

    def __init__(self, characters: int, width: int, depth: int):
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.stages = nn.ModuleList(nn.Conv1d(width, width, 2, dilation=2**i) for i in range(depth))
        self.head = nn.Linear(width, characters)

    def forward(self, text: Any) -> Any:
        x = self.embedding(text).transpose(1, 2)
        for i, stage in enumerate(self.stages):
            x = x + F.silu(stage(F.pad(x, (2**i, 0))))
        return self.head(x.transpose(1, 2))


def causal(source: str, width: int = 32, depth: int = 4, length: int = 32) -> Task:
    """Convolutions on a source text."""
    return language(source, lambda n: Causal(n, width, depth), length)
