"""Texts of a command line and of files, read as values."""

import re

import pytest

from phasejax import cli
from phasejax.cli import lookup, values
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


def test_a_path_of_windows_is_a_file_and_a_function(tmp_path, monkeypatch):
    r"""`C:\mine.py:f` has two colons."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "C:\\mine.py").write_text("def f(): pass\n")
    found = lookup.from_file("problem", "C:\\mine.py:f")
    assert found is not None
    assert found.__name__ == "f"
    with pytest.raises(ValueError, match=r"FILE.py:FUNCTION; the function is missing"):
        lookup.from_file("problem", "C:\\mine.py")
