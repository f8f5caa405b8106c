"""CIFAR-10's python batches are read, and code in them is never run."""

import functools
import os
import pickle
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import phasejax as pj
from phasejax.problems.cifar10 import ArraysOnly, read_batch

SCRIPT = Path(__file__).parents[1] / "sweeps/cifar10.py"


def write_batch(path, images=40, seed=0, classes=10):
    """A file of the same format: a dictionary of bytes, uint8 [images, 3072], a list of labels."""
    rng = np.random.default_rng(seed)
    batch = {
        b"batch_label": b"training batch 1 of 5",
        b"labels": rng.integers(0, classes, images).tolist(),
        b"data": rng.integers(0, 256, (images, 3072), dtype=np.uint8),
        b"filenames": [f"image_{i}.png".encode() for i in range(images)],
    }
    path.write_bytes(pickle.dumps(batch, protocol=2))
    return batch


@pytest.fixture
def folder(tmp_path):
    for i in range(1, 6):
        write_batch(tmp_path / f"data_batch_{i}", seed=i)
    return tmp_path


def test_images_of_two_classes_become_inputs_and_targets(folder):
    problem = pj.problems.cifar10(folder, classes=(3, 5), samples=20, hidden=(8,))
    batches = [pickle.loads((folder / f"data_batch_{i}").read_bytes()) for i in range(1, 6)]
    images = np.concatenate([batch[b"data"] for batch in batches])
    labels = np.concatenate([batch[b"labels"] for batch in batches])
    chosen = np.flatnonzero((labels == 3) | (labels == 5))[:20]
    loss: Any = problem.loss
    inputs, targets = loss.args
    np.testing.assert_array_equal(inputs.T, images[chosen] / 255)
    np.testing.assert_array_equal(targets, np.where(labels[chosen] == 3, -1, 1))
    assert problem.config["samples"] == 20


def test_the_papers_network_is_the_default(tmp_path):
    write_batch(tmp_path / "data_batch_1", images=1000, classes=2)
    problem = pj.problems.cifar10(tmp_path)  # one file is enough
    import jax

    shapes = [np.shape(weights) for weights, _ in jax.eval_shape(problem.init, jax.random.key(0))]
    assert shapes == [(256, 3072), (256, 256), (128, 256), (1, 128)]
    loss: Any = problem.loss
    assert loss.args[0].shape == (3072, 1000)


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_and_order_is_read(protocol, tmp_path):
    data = np.asfortranarray(np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072))
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({b"data": data, b"labels": [0, 1]}, protocol=protocol))
    if protocol == 5:  # not the format of CIFAR-10: arrays are built by another function
        with pytest.raises(ValueError, match="which is not an array"):
            read_batch(path)
        return
    pixels, labels = read_batch(path)
    np.testing.assert_array_equal(pixels, data)
    np.testing.assert_array_equal(labels, [0, 1])


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch {}",)),
        (eval, ("open('{}', 'w')",)),
        (exec, ("open('{}', 'w')",)),
        (subprocess.check_output, (["touch", "{}"],)),
        (getattr, (os, "system")),
        (np.load, ("{}",)),
    ],
    ids=lambda value: getattr(value, "__name__", "with"),
)
def test_a_malicious_file_is_refused_and_runs_nothing(function, arguments, tmp_path):
    trace = tmp_path / "trace"
    filled = [
        [part.format(trace) for part in a]
        if isinstance(a, list)
        else a.format(trace)
        if isinstance(a, str)
        else a
        for a in arguments
    ]
    if function is getattr:
        filled = ["phasejax", "system"]
    batch = {b"data": Malicious(function, *filled), b"labels": [0]}
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(ValueError, match=r"folder = .*data_batch_1.*it contains .*, which is not"):
        pj.problems.cifar10(tmp_path)
    assert not trace.exists()
    if function in (os.system, eval, exec):  # shows that pickle itself would run the code
        pickle.loads(path.read_bytes())
        assert trace.exists()


def test_objects_and_other_dtypes_are_refused(tmp_path):
    path = tmp_path / "data_batch_1"
    for array, message in [
        (np.array([{}], object), "not of bytes"),
        (np.ones((1, 3072)), "not of bytes"),
        (np.zeros((1, 9), np.uint8), r"uint8 \[images, 3072\]"),
    ]:
        path.write_bytes(pickle.dumps({b"data": array, b"labels": [0]}, protocol=2))
        with pytest.raises(ValueError, match=message):
            read_batch(path)
    for content in (b"", b"not a pickle", pickle.dumps([1, 2]), b"\x80\x02cos\nsystem\n."):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="must be a python batch of CIFAR-10"):
            read_batch(path)


def test_persistent_objects_are_refused(tmp_path):
    path = tmp_path / "data_batch_1"
    path.write_bytes(b"\x80\x02U\x01xQ.")
    with path.open("rb") as file, pytest.raises(pickle.UnpicklingError, match="outside the file"):
        ArraysOnly(file).load()


def test_a_missing_file_is_named(folder):
    (folder / "data_batch_3").unlink()
    with pytest.raises(ValueError, match=r"folder = .*it does not have the file data_batch_3"):
        pj.problems.cifar10(folder, samples=1000)
    write_batch(folder / "data_batch_3", seed=3)
    with pytest.raises(ValueError, match="samples = 1000: must be at most"):
        pj.problems.cifar10(folder)
    with pytest.raises(ValueError, match="classes = "):
        pj.problems.cifar10(folder, classes=(1, 1))


def test_the_script_runs_and_resumes(folder, monkeypatch, capsys):
    """The whole script, with a small network on few samples."""
    cifar10 = pj.problems.cifar10
    small = functools.partial(cifar10, samples=30, hidden=(4,))
    monkeypatch.setattr(pj.problems, "cifar10", small)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["cifar10.py", str(folder), "2", "256"])
    for _ in range(2):
        runpy.run_path(str(SCRIPT))
        assert "4 cells:" in capsys.readouterr().out
    assert Path("out/cifar10/phase_diagram.png").exists()
    monkeypatch.setattr(sys, "argv", ["cifar10.py", "nowhere"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(SCRIPT))
    assert "it does not have the file data_batch_1" in capsys.readouterr().err
