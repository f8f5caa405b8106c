"""Two classes of CIFAR-10, from the python batches that a user has, read without running them."""

import dataclasses
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .._check import bad, whole
from .._types import Whole
from .network import network
from .problem import Problem

BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
PIXELS = 3 * 32 * 32


def cifar10(
    folder: str | Path,
    classes: Sequence[Whole] = (0, 1),
    samples: Whole = 1000,
    hidden: Sequence[Whole] = (256, 256, 128),
    activation: str = "relu",
    loss: str = "mse",
    batch_size: Whole | None = None,
) -> Problem:
    """Tell two classes of CIFAR-10 apart with a fully connected network.

    By default the problem of Ma, Wu and E (2021): two classes, 1,000 samples, hidden layers of 256,
    256 and 128 relu units, squared error, all samples in every step.

    **Arguments:**

    - `folder`: `cifar-10-batches-py`, with the files `data_batch_1` to `data_batch_5` of
        Krizhevsky (2009).
    - `classes`: two of 0 to 9 (airplane, automobile, bird, cat, deer, dog, frog, horse, ship,
        truck). Targets are −1 for the first and +1 for the second.
    - `samples`: the first so many images of the two, 32 × 32 × 3 pixels scaled to [0, 1].
    - `hidden`, `activation`, `loss`, `batch_size`: as in `phasejax.problems.network`.

    The batches are pickles, which can hold programs. They are read by an unpickler that knows
    arrays and plain containers only; whatever else a file asks for is refused with a `ValueError`,
    as is a folder that lacks a batch that is needed, or holds too few samples.
    """
    classes = tuple(whole("classes", value, least=0) for value in classes)
    if len(classes) != 2 or len(set(classes)) != 2 or not set(classes) <= set(range(10)):
        raise bad("classes", classes, "two different classes from 0 to 9")
    samples = whole("samples", samples, least=2)
    images, labels = _of_classes(Path(folder), classes, samples)
    targets = np.where(labels == classes[0], -1.0, 1.0)
    problem = network(images / 255, targets, hidden, activation, loss, "cifar10", batch_size)
    config = {"folder": str(folder), "classes": list(classes), "samples": samples}
    return dataclasses.replace(problem, config={**config, **problem.config})


def _of_classes(
    folder: Path, classes: tuple[int, ...], samples: Whole
) -> tuple[np.ndarray, np.ndarray]:
    """First images `[samples, 3072]` and labels of two classes, from as many batches as needed."""
    images, labels, found = [], [], 0
    for name in BATCHES:
        if found >= samples:
            break
        if not (folder / name).is_file():
            needed = f"the folder of CIFAR-10's python batches; it has no file {name}"
            raise bad("folder", str(folder), needed)
        pixels, classes_of = read_batch(folder / name)
        chosen = np.isin(classes_of, classes)
        images.append(pixels[chosen])
        labels.append(classes_of[chosen])
        found += int(chosen.sum())
    if found < samples:
        raise bad("samples", samples, f"at most {found}, all there are of classes {classes}")
    return np.concatenate(images)[:samples], np.concatenate(labels)[:samples]


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one batch: pixels `[images, 3072]` (uint8) and labels `[images]`."""
    with path.open("rb") as file:
        try:
            batch = ArraysOnly(file).load()
            pixels, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
        except Exception as error:  # whatever a spoilt pickle may raise
            raise bad("folder", str(path), f"a python batch of CIFAR-10: {error}") from error
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), PIXELS) or labels.ndim != 1:
        found = f"{pixels.dtype} {pixels.shape} and {labels.shape}"
        raise bad("folder", str(path), f"uint8 [images, {PIXELS}] with a label each, not {found}")
    return pixels, labels


class ArraysOnly(pickle.Unpickler):
    """An unpickler of arrays of numbers and of plain containers; it runs nothing that a file names.

    What a pickle of an array refers to is met with stand-ins of our own: not even NumPy's own
    functions are called with what stands in the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of what makes an array, and refuse everything else."""
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _Array
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return {"ndarray": _Array, "dtype": _DType}[name]
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return _latin1
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no array")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse what stands elsewhere."""
        raise pickle.UnpicklingError("it asks for something outside the file")


class _DType:
    """Stands in for the dtype of bytes, the only one that a batch has."""

    def __init__(self, name: Any, *_: Any) -> None:
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"it has an array of {name!r}, not of bytes")

    def __setstate__(self, state: Any) -> None:
        """Ignore byte order, which bytes have none of."""


class _Array:
    """Stands in for an array: its shape and its bytes."""

    def __init__(self, *_: Any) -> None:
        self.values = np.empty(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        """Take (version, shape, dtype, whether columns come first, bytes)."""
        _, shape, _, columns_first, content = state
        order = "F" if columns_first else "C"
        self.values = np.frombuffer(bytes(content), np.uint8).reshape(shape, order=order)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Be an array."""
        return self.values if dtype is None else self.values.astype(dtype)


def _latin1(text: str, encoding: Any) -> bytes:
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1") if isinstance(text, str) else bytes(text)
