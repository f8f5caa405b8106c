"""Optimizers by name: all that optax documents, without a list kept by hand."""

import functools

import optax
import optax.contrib
import pytest

import phasejax as pj
from phasejax import cli
from phasejax.dynamics import BUILT_IN, FLOWS, by_name
from phasejax.dynamics.names import long_names

# The headings of optax's pages "Optimizers" and "Contrib".
DOCUMENTED = (
    "adabelief adadelta adafactor adagrad adam adamax adamaxw adamw adan amsgrad fromage lamb lars "
    "lbfgs lion nadam nadamw noisy_sgd novograd optimistic_adam optimistic_adam_v2 "
    "optimistic_gradient_descent polyak_sgd radam rmsprop rprop sgd sign_sgd signum sm3 yogi"
).split()
CONTRIB = (
    "acprop ademamix simplified_ademamix adopt cocob dadapt_adamw dog dowg dpsgd galore madgrad "
    "momo momo_adam muon prodigy schedule_free_adamw schedule_free_sgd sophia"
).split()


def test_every_optimizer_that_optax_documents_has_a_name():
    optaxs = {f"optax.{name}" for name in DOCUMENTED}
    optaxs |= {f"optax.contrib.{name}" for name in CONTRIB}
    assert {name for name in long_names() if not name.startswith("phasejax.")} == optaxs


@pytest.mark.parametrize(
    ("name", "factory"),
    [
        ("adam", pj.adam),
        ("phasejax.adam", pj.adam),
        ("optax.adam", optax.adam),
        ("adamw", optax.adamw),
        ("polyak_sgd", optax.polyak_sgd),
        ("prodigy", optax.contrib.prodigy),
        ("optax.contrib.prodigy", optax.contrib.prodigy),
        ("adam_flow", pj.adam_flow),
    ],
)
def test_a_name_finds_its_function(name, factory):
    assert by_name(name).factory is factory


def test_a_name_that_is_a_partial_keeps_its_settings():
    nadam = by_name("nadam")
    assert isinstance(optax.nadam, functools.partial)
    assert (nadam.factory, dict(nadam.settings)["nesterov"]) == (optax.adam, True)


@pytest.mark.parametrize(
    "name", ["lookahead", "optax.contrib.sam", "scale_by_adam", "clip", "schedule_free", "chain"]
)
def test_a_function_that_is_not_an_optimizer_is_refused_with_a_hint(name):
    with pytest.raises(ValueError, match=rf"{name}': is not an optimizer; .*FILE.py:FUNCTION"):
        by_name(name)


def test_an_unknown_name_lists_all():
    with pytest.raises(ValueError, match="did you mean 'adam'") as error:
        by_name("adom")
    shown = str(error.value).partition("known are ")[2].split(", ")
    assert set(shown) == {name.rpartition(".")[2] for name in long_names()}


def test_help_names_the_optimizers_of_phasejax(capsys):
    cli.main(["sweep", "--help"])
    words = capsys.readouterr().out
    assert all(name in words for name in BUILT_IN | FLOWS)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--optimizer adam --axis b1=0.1,0.2", "'b1': unknown; optax.adam has b1 (--optimizer opt"),
        (
            "--optimizer rmsprop --axis decay=0.1,0.2",
            "optax.rmsprop has decay (--optimizer optax.r",
        ),
        ("--optimizer optax.adam --a 1,2", "phasejax.adam has a (--optimizer phasejax.adam)"),
        ("--learning-rate 0.1,0.2", "optax.adam needs no a (--optimizer optax.adam)"),
        ("--optimizer optax.adam --b 1,2 --axis c=3", "phasejax.adam has b (--optimizer phasejax"),
        ("--optimizer adamw --axis b3=1,2", "'b3': unknown; did you mean 'b2'?"),
    ],
)
def test_an_argument_of_a_namesake_is_suggested(flags, said, capsys):
    assert cli.main(["sweep", "--problem", "quadratic", *flags.split()]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("optax.contrib.schedule_free_adamw", "learning_rate"),
        ("prodigy", "learning_rate"),  # a tuple as a default
        ("adopt", "learning_rate"),  # a function as a default
        ("polyak_sgd", "max_learning_rate"),  # a string as a default
    ],
)
def test_optimizers_of_optax_run_and_are_zoomed_into(name, rate, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = f"sweep --problem quadratic --optimizer {name} --axis {rate}=0.01,0.1 --steps 16"
    assert cli.main([*command.split(), "--windows", "8", "--store", "s"]) == 0
    assert cli.main(["zoom", "s", "--to", f"{rate}=0.02:0.05", "--store", "z"]) == 0, (
        capsys.readouterr().err
    )
    one, two = pj.open_dataset("s").attrs, pj.open_dataset("z").attrs
    assert {k: one[k] for k in ("optimizer", "fixed")} == {
        k: two[k] for k in ("optimizer", "fixed")
    }
