"""Two classes of CIFAR-10, from a folder of its python batches, read without running any code."""

import dataclasses
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .._check import bad, whole
from .._types import Whole
from .classes import two_classes
from .network import network
from .problem import Problem

BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
"""Names of the files of training images."""
PIXELS = 3 * 32 * 32
"""Numbers of one image."""


def cifar10(
    folder: str | Path,
    classes: Sequence[Whole] = (0, 1),
    samples: Whole = 1000,
    hidden: Sequence[Whole] = (256, 256, 128),
    activation: str = "relu",
    loss: str = "mse",
    batch_size: Whole | None = None,
) -> Problem:
    """Classify images of two classes of CIFAR-10 with a fully connected network.

    The defaults are the problem of Ma, Wu and E (2021): two classes, 1,000 samples, hidden layers
    of 256, 256 and 128 relu units, squared error, all samples in every step.

    **Arguments:**

    - `folder`: `cifar-10-batches-py`, with the files `data_batch_1` to `data_batch_5` of
        Krizhevsky (2009).
    - `classes`: two of 0 to 9 (airplane, automobile, bird, cat, deer, dog, frog, horse, ship,
        truck). Targets are −1 for the first and +1 for the second.
    - `samples`: number of images; the first ones of the two classes are taken. An image has
        32 × 32 × 3 pixels, scaled to [0, 1].
    - `hidden`, `activation`, `loss`, `batch_size`: as in `phasejax.problems.network`.

    The files are pickles, which can contain code. They are read by an unpickler that only accepts
    arrays and plain containers. Raises a `ValueError` for a file with anything else, for a folder
    without a file that is needed, and for too few samples.
    """
    classes = two_classes("classes", classes, "classes")
    samples = whole("samples", samples, least=2)
    images, labels = _of_classes(Path(folder), classes, samples)
    targets = np.where(labels == classes[0], -1.0, 1.0)
    problem = network(images / 255, targets, hidden, activation, loss, "cifar10", batch_size)
    config = {"folder": str(folder), "classes": list(classes), "samples": samples}
    return dataclasses.replace(problem, config={**config, **problem.config})


def _of_classes(
    folder: Path, classes: tuple[int, ...], samples: Whole
) -> tuple[np.ndarray, np.ndarray]:
    """First images `[samples, 3072]` and labels `[samples]` of two classes.

    Reads files in order until there are enough samples.
    """
    images, labels, found = [], [], 0
    for name in BATCHES:
        if found >= samples:
            break
        if not (folder / name).is_file():
            needed = f"the folder of CIFAR-10's python batches; it does not have the file {name}"
            raise bad("folder", str(folder), needed)
        pixels, classes_of = read_batch(folder / name)
        chosen = np.isin(classes_of, classes)
        images.append(pixels[chosen])
        labels.append(classes_of[chosen])
        found += int(chosen.sum())
    if found < samples:
        raise bad("samples", samples, f"at most {found}, the number of images of classes {classes}")
    return np.concatenate(images)[:samples], np.concatenate(labels)[:samples]


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one file: pixels `[images, 3072]` (uint8) and labels `[images]`."""
    with path.open("rb") as file:
        try:
            batch = ArraysOnly(file).load()
            pixels, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
        except Exception as error:  # a corrupt pickle can raise any error
            raise bad("folder", str(path), f"a python batch of CIFAR-10: {error}") from error
    if pixels.dtype != np.uint8 or pixels.shape != (len(labels), PIXELS) or labels.ndim != 1:
        found = f"{pixels.dtype} {pixels.shape} and {labels.shape}"
        raise bad("folder", str(path), f"uint8 [images, {PIXELS}] and labels [images], not {found}")
    return pixels, labels


class ArraysOnly(pickle.Unpickler):
    """An unpickler of byte arrays and plain containers that calls no function that a file names.

    The functions and classes that a pickled array names are replaced by the ones below, so that
    not even NumPy's own functions are called with arguments from the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement of a name that a pickled array needs; refuse all other names."""
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _Array
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return {"ndarray": _Array, "dtype": _DType}[name]
        if (module, name) == ("_codecs", "encode"):  # Python 3 writes bytes so for Python 2
            return _latin1
        raise pickle.UnpicklingError(f"it contains {module}.{name}, which is not an array")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse a reference to an object outside the file."""
        raise pickle.UnpicklingError("it refers to an object outside the file")


class _DType:
    """Replaces `numpy.dtype`; accepts uint8, the only dtype of a batch."""

    def __init__(self, name: Any, *_: Any) -> None:
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"it contains an array of {name!r}, not of bytes")

    def __setstate__(self, state: Any) -> None:
        """Ignore the byte order, which does not matter for bytes."""


class _Array:
    """Replaces `numpy.ndarray`: keeps shape and bytes of an array of uint8."""

    def __init__(self, *_: Any) -> None:
        self.values = np.empty(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        """Read the state (version, shape, dtype, whether in Fortran order, bytes)."""
        _, shape, _, columns_first, content = state
        order = "F" if columns_first else "C"
        self.values = np.frombuffer(bytes(content), np.uint8).reshape(shape, order=order)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the array, so that `np.asarray` accepts this object."""
        return self.values if dtype is None else self.values.astype(dtype)


def _latin1(text: str, encoding: Any) -> bytes:
    """Replaces `codecs.encode`; accepts latin1, by which pickles encode bytes as text."""
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"it contains the encoding {encoding!r}")
    return text.encode("latin1") if isinstance(text, str) else bytes(text)
