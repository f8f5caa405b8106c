"""Train a task of torch_models.py or a problem of jax_models.py, and record the loss per step."""

import copy
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import torch  # pyright: ignore[reportMissingImports]

from tests.labelled_logs import jax_models, torch_models


@dataclass(frozen=True)
class Setting:
    """Everything that decides a run, but the model."""

    steps: int
    rate: float = 1e-3
    optimizer: str = "adamw"
    b1: float = 0.9
    """Momentum for sgd."""
    b2: float = 0.999
    eps: float = 1e-8
    batch: int = 32
    """0 means all data."""
    schedule: str = "constant"
    warmup: int = 0
    clip: float | None = None
    seed: int = 0
    resume: tuple[int, int] | None = None
    """(step at which the run dies, step of the checkpoint that it goes on from)."""
    corrupt: tuple[int, ...] = ()
    """Steps whose batch is damaged: inputs ten times too large, or characters shuffled."""


class Record(NamedTuple):
    """A row per step that was run; after a restart the step goes back."""

    step: np.ndarray
    loss: np.ndarray
    rate: np.ndarray
    norm: np.ndarray
    """Norm of the gradient before clipping."""
    other: np.ndarray
    """Loss on another batch every 50 steps, nan elsewhere: the column that is no training loss."""


def rates(setting: Setting) -> np.ndarray:
    """The learning rate of each step."""
    step = np.arange(setting.steps)
    done = step / setting.steps
    factors = {
        "constant": np.ones(setting.steps),
        "cosine": 0.05 + 0.95 * (1 + np.cos(np.pi * done)) / 2,
        "linear": 1 - 0.98 * done,
        "staircase": 0.1 ** np.floor(3 * done),
        "restarts": 0.02 + 0.98 * (1 + np.cos(np.pi * (4 * done % 1))) / 2,
        "waves": 0.1 + 0.9 * (1 - np.cos(16 * np.pi * done)) / 2,
    }
    warm = np.minimum(1, (step + 1) / max(setting.warmup, 1))
    return setting.rate * factors[setting.schedule] * warm


def torch_optimizer(setting: Setting, params: Any) -> Any:
    """The optimizer of PyTorch that a setting names."""
    adam: dict[str, Any] = {"betas": (setting.b1, setting.b2), "eps": setting.eps}
    options = {
        "adamw": (torch.optim.AdamW, adam | {"weight_decay": 0.01}),
        "adam": (torch.optim.Adam, adam),
        "amsgrad": (torch.optim.Adam, adam | {"amsgrad": True}),
        "sgd": (torch.optim.SGD, {"momentum": setting.b1}),
        "nesterov": (torch.optim.SGD, {"momentum": setting.b1, "nesterov": True}),
        "rmsprop": (torch.optim.RMSprop, {"alpha": setting.b2, "eps": setting.eps}),
    }
    build, arguments = options[setting.optimizer]
    return build(params, lr=setting.rate, **arguments)


def damaged(inputs: Any) -> Any:
    """A batch that a faulty loader could give."""
    if inputs.dtype == torch.long:
        return inputs.flatten()[torch.randperm(inputs.numel())].reshape(inputs.shape)
    return inputs * 10


def train_torch(build: Any, setting: Setting) -> Record:
    """Train on one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(setting.seed)
    task: torch_models.Task = build()
    params = list(task.network.parameters())
    optimizer = torch_optimizer(setting, params)
    schedule, rows, step, saved = rates(setting), [], 0, None
    dies, goes_on = setting.resume or (-1, -1)
    while step < setting.steps:
        if step == goes_on and saved is None:
            saved = copy.deepcopy((task.network.state_dict(), optimizer.state_dict()))
        if step == dies and saved is not None:
            task.network.load_state_dict(saved[0])
            optimizer.load_state_dict(saved[1])
            step, dies = goes_on, -1
        inputs, targets = task.draw(setting.batch)
        inputs = damaged(inputs) if step in setting.corrupt else inputs
        optimizer.zero_grad()
        loss = task.loss(inputs, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(params, setting.clip or math.inf, foreach=True)
        optimizer.param_groups[0]["lr"] = float(schedule[step])
        optimizer.step()
        other = math.nan
        if step % 50 == 0:
            with torch.no_grad():
                other = task.loss(*task.draw(setting.batch)).item()
        rows.append((step, loss.item(), schedule[step], float(norm), other))
        step += 1
    return Record(*np.array(rows).T)


def optax_direction(setting: Setting) -> optax.GradientTransformation:
    """Updates before the learning rate."""
    kinds = {
        "adam": lambda: optax.scale_by_adam(setting.b1, setting.b2, setting.eps),
        "sgd": lambda: optax.trace(setting.b1),
        "rmsprop": lambda: optax.scale_by_rms(setting.b2, setting.eps),
    }
    clip = optax.clip_by_global_norm(setting.clip) if setting.clip else optax.identity()
    return optax.chain(clip, kinds[setting.optimizer]())


def train_jax(build: Any, setting: Setting) -> Record:
    """Train in one compiled loop."""
    problem: jax_models.Problem = build(setting.seed)
    direction = optax_direction(setting)
    schedule = rates(setting)

    def advance(carry: Any, now: Any) -> Any:
        params, state = carry
        rate, key = now
        loss, grads = jax.value_and_grad(problem.loss)(params, key, setting.batch)
        updates, state = direction.update(grads, state, params)
        params = optax.apply_updates(params, jax.tree.map(lambda u: -rate * u, updates))
        return (params, state), (loss, optax.global_norm(grads))

    keys = jax.random.split(jax.random.key(setting.seed + 1000), setting.steps)
    start = (problem.params, direction.init(problem.params))
    _, (loss, norm) = jax.jit(lambda: jax.lax.scan(advance, start, (schedule, keys)))()
    other = np.where(np.arange(setting.steps) % 50, math.nan, loss)
    return Record(np.arange(setting.steps), np.array(loss), schedule, np.array(norm), other)
