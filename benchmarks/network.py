"""The network benchmark: Adam on a relu network and digits, with the statistics of an envelope.

Every way trains the same cells on all data from the same start. `python -m benchmarks.network WAY
NET DTYPE` runs one way once for each line of its input, and prints nanoseconds per cell-step; the
way `limit` measures the machine's matrix product.
"""

import importlib
import itertools
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .harness import Result, Way, nanoseconds, serve, serve_work, sweep_work

LEARNING_RATE = 1e-3
"""η of all cells."""
EPS = 1e-8
"""ε of all cells, outside the root."""


class Net(NamedTuple):
    """A network and the size of the work.

    - `hidden`: widths of the hidden layers.
    - `samples`: number of images.
    - `side`: values of a and of b.
    - `windows`: windows per cell.
    - `length`: steps per window.
    """

    hidden: tuple[int, ...]
    samples: int
    side: int
    windows: int
    length: int

    @property
    def cell_steps(self) -> int:
        """Number of steps of all cells together."""
        return self.side**2 * self.windows * self.length

    @property
    def weights(self) -> list[int]:
        """Number of weights of each layer."""
        return [a * b for a, b in itertools.pairwise((64, *self.hidden, 1))]

    @property
    def flops(self) -> float:
        """Operations in the matrix products of one step: forward, gradients of weights and inputs.

        The gradient of the data is not needed, so the first layer has two products, not three.
        """
        return 2.0 * self.samples * (3 * sum(self.weights) - self.weights[0])

    @property
    def usual_flops(self) -> float:
        """The usual count, 6 × weights × samples: three products in every layer."""
        return 6.0 * self.samples * sum(self.weights)


NETS = {
    "digits": Net((32, 32, 16), samples=128, side=8, windows=8, length=16),
    "wide": Net((256, 256, 128), samples=256, side=4, windows=8, length=8),
}
"""The networks of the benchmark, by name."""


def decays(net: Net) -> tuple[np.ndarray, np.ndarray]:
    """Values of a and b in every cell."""
    axis = np.geomspace(1, 100, net.side)
    a, b = np.meshgrid(axis, axis, indexing="ij")
    return a.ravel(), b.ravel()


def phasejax(net: Net, dtype: str) -> Callable[[], Result]:
    """The computation of a sweep, without labels and store."""
    import phasejax as pj

    pj.use_all_cores()
    axis = pj.log_axis(1, 100, net.side)
    grid = pj.Grid(a=axis, b=axis, learning_rate=LEARNING_RATE, eps=EPS)
    return _swept(net, dtype, pj.adam, grid)


def gradient(net: Net, dtype: str) -> Callable[[], Result]:
    """The same with gradient descent: what remains of a step without Adam."""
    import optax

    import phasejax as pj

    pj.use_all_cores()
    axis = pj.log_axis(LEARNING_RATE / 10, LEARNING_RATE, net.side**2)
    return _swept(net, dtype, optax.sgd, pj.Grid(learning_rate=axis))


def _swept(net: Net, dtype: str, optimizer: Callable, grid: Any) -> Callable[[], Result]:
    import phasejax as pj

    return sweep_work(
        problem=pj.problems.digits(samples=net.samples, hidden=net.hidden),
        dynamics=optimizer,
        grid=grid,
        steps=net.windows * net.length,
        windows=net.windows,
        dtype=dtype,
    )


def _torch_problem(net: Net, dtype: str):
    """PyTorch, the data, and phasejax's starting point."""
    import phasejax as pj
    from phasejax.problems.problem import initial_params

    torch = importlib.import_module("torch")  # optional, so the type checker cannot import it
    problem = pj.problems.digits(samples=net.samples, hidden=net.hidden)
    pixels, targets = problem.loss.args  # pyright: ignore[reportFunctionMemberAccess]
    images, targets = (torch.from_numpy(np.array(x, dtype)) for x in (pixels.T, targets))
    params = [
        torch.from_numpy(np.array(leaf, dtype))
        for layer in initial_params(problem, 0)
        for leaf in layer
    ]
    return torch, images, targets, params


def torch_loop(net: Net, dtype: str) -> Callable[[], Result]:
    """One cell after the other: modules, `torch.optim.Adam`, and the loss read in every step."""
    torch, images, targets, start = _torch_problem(net, dtype)

    def module():
        layers = []
        for weight, bias in zip(start[::2], start[1::2], strict=True):
            linear = torch.nn.Linear(*weight.shape[::-1], dtype=weight.dtype)
            with torch.no_grad():
                linear.weight.copy_(weight)
                linear.bias.copy_(bias)
            layers += [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    def cell(a: float, b: float) -> np.ndarray:
        net_of_cell = module()
        betas = 1 - b * LEARNING_RATE, 1 - a * LEARNING_RATE
        optimizer = torch.optim.Adam(net_of_cell.parameters(), LEARNING_RATE, betas, EPS)
        losses = np.empty(net.windows * net.length)
        for step in range(len(losses)):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(net_of_cell(images)[:, 0], targets)
            loss.backward()
            losses[step] = loss.item()
            optimizer.step()
        return losses.reshape(net.windows, net.length)

    def work() -> Result:
        losses = np.stack([cell(a, b) for a, b in zip(*decays(net), strict=True)])
        return losses.min(2), losses.max(2), losses.mean(2), np.log10(losses).mean(2)

    return work


def torch_vmap(net: Net, dtype: str) -> Callable[[], Result]:
    """All cells at once: `torch.func.vmap` of the gradient, and Adam on stacked arrays."""
    torch, images, targets, start = _torch_problem(net, dtype)
    a, b = (torch.from_numpy((x * LEARNING_RATE).astype(dtype)) for x in decays(net))
    cells = len(a)

    def loss_of(params):
        x = images
        for weight, bias in zip(params[:-2:2], params[1:-2:2], strict=True):
            x = torch.relu(torch.nn.functional.linear(x, weight, bias))
        return torch.nn.functional.mse_loss(
            torch.nn.functional.linear(x, *params[-2:])[:, 0], targets
        )

    grad_and_value = torch.func.vmap(torch.func.grad_and_value(loss_of))
    rates = [[x.reshape(-1, *[1] * p.ndim) for p in start] for x in (a, b)]

    def work() -> Result:
        params = [p.expand(cells, *p.shape).clone() for p in start]
        m, v = ([torch.zeros_like(p) for p in params] for _ in range(2))
        fields = []
        for window in range(net.windows):
            losses = []
            for step in range(window * net.length + 1, (window + 1) * net.length + 1):
                grads, loss = grad_and_value(params)
                losses.append(loss)
                for p, g, m_, v_, a_, b_ in zip(params, grads, m, v, *rates, strict=True):
                    m_ += b_ * (g - m_)
                    v_ += a_ * (g * g - v_)
                    root = torch.sqrt(v_ / (1 - (1 - a_) ** step)) + EPS
                    p -= LEARNING_RATE / (1 - (1 - b_) ** step) * m_ / root
            x = torch.stack(losses, 1)
            fields.append((x.amin(1), x.amax(1), x.mean(1), x.log10().mean(1)))
        return tuple(torch.stack(f, 1).numpy() for f in zip(*fields, strict=True))

    return work


WAYS: dict[str, Way] = {
    "phasejax": phasejax,
    "PyTorch, one cell after the other": torch_loop,
    "torch.func.vmap": torch_vmap,
}
"""Ways by the names in the table, beside `limit` and `gradient`."""


def gemm_seconds(dtype: str, size: int = 2048) -> Callable[[], float]:
    """Return a function that measures the seconds per operation of NumPy's matrix product.

    It uses all cores, on factors `[size, size]`.
    """
    x = np.random.default_rng(0).normal(size=(size, size)).astype(dtype)
    y = x @ x

    def once() -> float:
        begin = time.perf_counter()
        np.matmul(x, x, out=y)
        return (time.perf_counter() - begin) / (2.0 * size**3)

    return once


if __name__ == "__main__":
    way, name, dtype = sys.argv[1:]
    net = NETS[name]
    if way == "limit":
        seconds = gemm_seconds(dtype)
        serve(lambda: net.flops * seconds() * 1e9)
    elif way == "gradient":
        work = gradient(net, dtype)
        work()  # compiles
        serve(lambda: nanoseconds(work, net.cell_steps, 1)[0])
    else:
        serve_work(WAYS[way](net, dtype), net.cell_steps)
