"""An error names an argument as the command that ran does, and no flag that it does not have."""

import inspect
import pickle
import re
from typing import Annotated

import pytest
import typer

import phasejax as pj
from phasejax import _check, cli
from phasejax.cli import options, parser, stores, values


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a sweep `s`."""
    path = tmp_path_factory.mktemp("flags")
    command = "sweep --problem quadratic --a 1:9:2 --b 1:9:2 --seed 0,1 --steps 16 --windows 8"
    assert cli.main([*command.split(), "--store", str(path / "s")]) == 0
    return path


CASES = {
    "classify nowhere": "PATH = 'nowhere': must be a training log (NPY, TensorBoard events,",
    "classify .": "PATH = '.': must be a sweep's folder, or one with training logs in it",
    "classify s --minimum x": "Invalid value for '--minimum'",
    "info nowhere": "STORE = 'nowhere': must be the folder of a sweep; there is nothing",
    "plot nowhere": "STORE = 'nowhere'",
    "view nowhere": "STORE = 'nowhere'",
    "border nowhere": "STORE = 'nowhere'",
    "zoom nowhere --to a=1:2": "STORE = 'nowhere'",
    "zoom . --to a=1:2": "STORE = '.'",
    "zoom s --to c=1:2": "--to = 'c': unknown; known are a, b",
    "zoom s --to a=3:1": "--to = '3:1': must be a range of finite numbers, low < high",
    "zoom s --to a=0:1": "--to = 0.0: must be greater than 0 on a logarithmic axis",
    "zoom s --to a=1": "--to = 'a=1': must be NAME=LOW:HIGH",
    "zoom s --to a=1:5000": "a = 5000.0: must be greater than 0 and at most 1 / learning_rate",
    "zoom s --to a=1:2 --store s": "--store = 's': must be a new path",
    "zoom s --to a=1:2 --refine c=9": "--refine = 'c': unknown",
    "border s": "STORE axes = ['a', 'b', 'seed']: must be two",
    "border s --at seed=0": "STORE sizes = (2, 2): must be at least 129",
    "plot s": "STORE axes = ['a', 'b', 'seed']: must be two",
    "plot s --at seed=0 --x c": "--x = 'c': unknown",
    "plot s --at seed=0 --x a --y a": "--y = 'a': must be another axis",
    "plot s --over c": "--over = 'c': unknown",
    "plot s --output x.gif": "--output = 'x.gif': must be a name ending in .png",
    "plot s --at seed=x": "--at = 'seed=x': must be a finite number on the axis seed",
    "plot s --at c=1": "--at = 'c': unknown",
    "plot s --at seed=0,seed=1": "--at = 'seed=0,seed=1': must be a value for each name",
    "info s --at a=1 --at b=1": "--at is given twice: give it once",
    "zoom s --to a=2:3 --to b=2:3": "--to is given twice",
    "info s --at a=1": "--at = {'a': 1}: must give every axis",
    "info s --at a=True": "--at = 'a=True': must be a finite number on the axis a",
    "sweep --steps 0 --a 1,2 --b 1 --problem quadratic": "--steps = 0: must be an integer",
    "sweep --problem quadratic --optimizer sgd --axis momentum=x,1": "momentum = 'x,1'",
    "sweep --problem quadratic --a 1,2 --b 1 --resume --overwrite": "--overwrite and resume",
    "sweep --problem quadratic --a 1,2 --optimizer adam_flow": "--time is missing",
    "sweep --problem power --problem-arg k=1 --a 1,2 --b 1": "--problem-arg k = 1: must be a",
    "sweep --problem power --problem-arg q=1 --a 1,2 --b 1": "--problem-arg = 'q': unknown; known",
    "sweep --problem power --problem-arg k=x --a 1,2 --b 1": "--problem-arg: power fails with k=",
    "sweep --problem quadratic --a 1 --b 2": "--a LOW:HIGH:COUNT is missing: a sweep needs one or",
    "plot s --probability --at seed=0": "--probability needs an axis seed, and the axes are a, b",
    "plot s --probability --over c": "--over = 'c': unknown; known are a, b, seed",
    "sweep --problem-arg k --a 1,2 --b 1": "--problem-arg = 'k': must be NAME=VALUE",
}


@pytest.mark.parametrize("command", CASES)
def test_an_argument_is_named_as_the_command_names_it(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    code = cli.main(command.split())
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("error: " + CASES[command])
    parameters = typer.main.get_group(cli.app).commands[command.split()[0]].params
    named = re.match(r"error: (--[a-z-]+)", error)
    assert named is None or any(named[1] in p.opts + p.secondary_opts for p in parameters)


def test_the_package_keeps_name_and_text_apart():
    error = _check.bad("learning_rate", -1, "positive")
    assert str(error) == "learning_rate = -1: must be positive"
    kept = pickle.loads(pickle.dumps(error))
    assert (str(kept), kept.argument) == (str(error), "learning_rate")
    assert isinstance(error, ValueError)
    with pytest.raises(ValueError, match="a is missing: adam needs it"):
        pj.sweep(pj.problems.quadratic(), pj.adam, pj.Grid(b=[1, 2]))


def test_every_hyper_parameter_of_the_list_has_a_flag_and_its_help(capsys):
    assert cli.main(["sweep", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, told in values.HYPER_PARAMETERS.items():
        assert f"--{name.replace('_', '-')} RANGE {told}" in text


def test_a_group_is_one_dict_of_what_was_given():
    pair = parser.Group({"one": int | None, "two": int | None})

    @parser.grouped
    def command(first: int, *, group: Annotated[dict[str, int], pair], last: int = 0):
        return first, group, last

    assert list(inspect.signature(command).parameters) == ["first", "one", "two", "last"]
    assert command(first=1, one=None, two=0, last=3) == (1, {"two": 0}, 3)


@pytest.mark.parametrize("command", ["info", "plot", "view", "border"])
def test_every_help_says_which_value_at_takes(command, capsys):
    assert cli.main([command, "--help"]) == 0
    assert options.NEAREST in " ".join(capsys.readouterr().out.split())


def test_at_takes_the_nearest_value_by_ratio_in_every_command(folder):
    """Between 1 and 9, a = 4 is nearer to 1 by difference and to 9 by ratio."""
    dataset = pj.open_dataset(folder / "s")
    chosen = stores.selected(folder / "s", "a=4,b=2.9,seed=0")
    at = {name: chosen[name].item() for name in ("a", "b", "seed")}
    assert at == pytest.approx({"a": 9, "b": 1, "seed": 0})
    described = pj.cell(dataset, {"a": 4, "b": 2.9, "seed": 0})
    assert {name: described[name] for name in at} == at


def test_no_command_is_help(capsys):
    assert cli.main([]) == 0
    assert "Usage: phasejax" in capsys.readouterr().out


def test_version_without_jax(capsys):
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"phasejax [\d.]+ \(jax [\d.]+, optax [\d.]+\)\n", capsys.readouterr().out)
