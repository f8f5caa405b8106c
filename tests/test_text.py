"""Texts of a command line and of files, read as values."""

import re

import numpy as np
import pytest

from phasejax import cli
from phasejax.cli import curves, lookup, values
from phasejax.grid import Axis


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("nesterov", "True,False", [True, False]),
        ("nesterov", "true,false", [True, False]),
        ("nesterov", "false", False),
        ("activation", "relu,tanh", ["relu", "tanh"]),
        ("activation", "relu, 'a b'", ["relu", "a b"]),
        ("activation", "relu", "relu"),
        ("k", "1,4", [1, 4]),
        ("b1", "0.9,", [0.9]),
        ("mask", "None", None),
        ("seed", "9007199254740993,9007199254740995", [9007199254740993, 9007199254740995]),
        ("seed", "18446744073709551617", 18446744073709551617),
        ("a", "1,2.5", [1, 2.5]),
    ],
)
def test_values_of_a_hyper_parameter(name, text, value):
    read = values.hyper_parameter(name, text)
    assert read == value
    listed = (read, value) if isinstance(value, list) else ([read], [value])
    assert [type(v) for v in listed[0]] == [type(v) for v in listed[1]]


def test_a_range_is_an_axis():
    assert isinstance(values.hyper_parameter("b1", "0.1:0.9:3:linear"), Axis)


@pytest.mark.parametrize("name", values.HYPER_PARAMETERS)
@pytest.mark.parametrize("text", ["relu", "relu,tanh", "True", "1,True", "nan", "1j", "[1]", "()"])
def test_names_that_are_numbers_stay_numbers(name, text):
    with pytest.raises(ValueError, match=rf"{name} = .*: must be a number, V1,V2"):
        values.hyper_parameter(name, text)


@pytest.mark.parametrize(
    "text", ["1,relu", "True,1", "1,,2", "relu,", "(1,2),(3,4)", "1:2", "a:b:c"]
)
def test_lists_of_two_kinds_and_broken_ranges_are_refused(text):
    with pytest.raises(ValueError, match=r"b1 = .*: must be ") as error:
        values.hyper_parameter("b1", text)
    assert not re.search("unpack|convert|literal|KeyError", str(error.value))  # Python's words


def test_a_point_may_have_booleans_and_names():
    point = values.point("a=1,b=2.5,nesterov=True,activation=relu,seed=9007199254740993")
    assert point == {
        "a": 1,
        "b": 2.5,
        "nesterov": True,
        "activation": "relu",
        "seed": 9007199254740993,
    }
    assert point["nesterov"] is True
    for text in ("a", "a=", "a=1,a=2", "a=None", "a=1j", "a=[1]"):
        with pytest.raises(ValueError, match="at = "):
            values.point(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--a 1,2 --axis a=3,4", "--a = '3,4': must be given once; it is '1,2' already"),
        ("--a 1,2 --a 3,4", "--a is given twice: give it once"),
        ("--seed 1 --seed 2", "--seed is given twice"),
        ("--learning-rate 1 --axis learning_rate=2", "--learning-rate = '2': must be given once"),
        ("--steps 8 --a 1 --b 1 --steps 16", "--steps is given twice"),
        ("--axis b1=1 --axis b1=2", "b1 = '2': must be given once"),
        ("--problem-arg k=1 --problem-arg k=2", "k = '2': must be given once"),
        ("--a 1:2:2 --b 1 --refine a=9,a=17", "--refine = 'a=9,a=17': must be a value for each"),
    ],
)
def test_nothing_is_given_twice(text, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sweep", "--problem", "quadratic", *text.split()]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


ROWS = "".join(f"{0.5**i}\n" for i in range(80))
FILES = {
    "header.csv": (b"good,bad\n", "it has no rows of numbers"),
    "empty.csv": (b"", "it is empty"),
    "ragged.csv": (b"a,b\n1,2\n3\n", "line 3 has 1 columns, line 1 has 2"),
    "wide.csv": (b"1,2\n3,4,5\n", "line 2 has 3 columns, line 1 has 2"),
    "text.csv": (b"a,b\n1,2\n3,x\n", "line 3: 'x' is not a number"),
    "blank.csv": (b"a,b\n1,2\n3,\n", "line 3: '' is not a number"),
    "alike.csv": (b"a,a\n1,2\n", "line 1 names two columns alike: a, a"),
    "short.csv": (b"a\n1\n", "a: loss.shape = (1,): must be [steps] with at least 64 steps"),
    "minus.csv": (("loss\n" + ROWS + "-1\n").encode(), "loss: loss.min() = -1.0: must be non-"),
    "latin.csv": ("größe\n1\n".encode("latin-1"), "it is not UTF-8 text"),
    "text.npy": (b"1,2\n", "a table of numbers"),
    "empty.npy": (b"", "No data left in file"),
    "objects.npy": (np.array([{}]), "Object arrays cannot be loaded"),
    "cube.npy": (np.ones((2, 2, 2)), "it has shape (2, 2, 2), not [steps] or [steps, runs]"),
    "number.npy": (np.array(1.0), "it has shape ()"),
    "none.npy": (np.ones((70, 0)), "it has shape (70, 0)"),
    "complex.npy": (np.ones(70) + 1j, "it holds complex128, not real numbers"),
    "words.npy": (np.array(["a"]), "it holds <U1, not real numbers"),
    "log.txt": (b"hello\n", "it has no rows of numbers"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_table_of_losses_is_one_line(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    content, said = FILES[name]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, content, allow_pickle=True)
    assert cli.main(["classify", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: PATH")
    assert said in error
    assert error.count("\n") == 1


def test_files_that_are_tables(tmp_path):
    np.save(tmp_path / "whole.npy", np.arange(6).reshape(3, 2))
    assert list(curves.read(tmp_path / "whole.npy")) == ["run 0", "run 1"]
    (tmp_path / "bom.CSV").write_bytes(b"\xef\xbb\xbfgood, bad\r\n1,2\r\n\r\n3,inf # late\r\n")
    found = curves.read(tmp_path / "bom.CSV")
    np.testing.assert_array_equal(found["good"], [1, 3])
    np.testing.assert_array_equal(found["bad"], [2, np.inf])
    (tmp_path / "bare.csv").write_text("# from a run\n1e-3\n2\n")
    np.testing.assert_array_equal(
        next(iter(curves.read(tmp_path / "bare.csv").values())), [1e-3, 2]
    )


def test_a_path_of_windows_is_a_file_and_a_function(tmp_path, monkeypatch):
    r"""`C:\mine.py:f` has two colons."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "C:\\mine.py").write_text("def f(): pass\n")
    found = lookup.from_file("problem", "C:\\mine.py:f")
    assert found is not None
    assert found.__name__ == "f"
    with pytest.raises(ValueError, match=r"FILE.py:FUNCTION; the function is missing"):
        lookup.from_file("problem", "C:\\mine.py")
