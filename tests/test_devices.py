"""What `use_all_cores` asks of JAX, each in a process of its own."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import phasejax as pj

OPTION = "xla_cpu_small_while_loop_byte_threshold"
SWEEP = """
import sys
import phasejax as pj
pj.use_all_cores()
grid = pj.Grid(a=pj.log_axis(1, 100, 4), b=pj.log_axis(1, 100, 4))
pj.sweep(pj.problems.quadratic(), pj.adam, grid, steps=640, windows=64, store=sys.argv[1])
"""


def run(script, *arguments, flags=""):
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_ENABLE_COMPILATION_CACHE": "0"}
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ).stdout


def one_kernel(folder):
    """Say whether XLA made one kernel of a loop of the program that advances cells."""
    texts = [path.read_text() for path in folder.glob("*jit_advance*after_optimizations.txt")]
    assert texts
    return any("xla_cpu_small_call" in text for text in texts)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("--xla_cpu_enable_fast_math=false", "--xla_cpu_enable_fast_math=false "),
        (
            "--xla_backend_extra_options=xla_cpu_disable_slp_vectorizer=true",
            "--xla_backend_extra_options=xla_cpu_disable_slp_vectorizer=true ",
        ),
    ],
)
def test_the_option_is_added_to_the_flags_of_the_user(given, kept):
    script = (
        "import jax, os, json; import phasejax as pj\n"
        "pj.use_all_cores(3); pj.use_all_cores()\n"
        "print(json.dumps([os.environ['XLA_FLAGS'], jax.device_count()]))"
    )
    flags, devices = json.loads(run(script, flags=given))
    assert flags == f"{kept}--xla_backend_extra_options={OPTION}=1048576"
    assert devices == 3


def test_a_value_of_the_user_is_kept():
    mine = f"--xla_backend_extra_options={OPTION}=7"
    script = "import os; import phasejax as pj; pj.use_all_cores(); print(os.environ['XLA_FLAGS'])"
    assert run(script, flags=mine).strip() == mine


def test_a_toy_is_one_kernel_and_has_the_bits_of_many(tmp_path):
    dump = f"--xla_dump_to={tmp_path}/{{}} --xla_dump_hlo_as_text"
    dump += " --xla_dump_hlo_module_re=jit_advance"
    run(SWEEP, tmp_path / "one.zarr", flags=dump.format("one"))
    off = f" --xla_backend_extra_options={OPTION}=0"
    run(SWEEP, tmp_path / "many.zarr", flags=dump.format("many") + off)
    assert one_kernel(tmp_path / "one")
    assert not one_kernel(tmp_path / "many")
    one, many = (pj.open_dataset(tmp_path / f"{name}.zarr") for name in ("one", "many"))
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name], many[name], err_msg=str(name))
    assert f"{OPTION}=1048576" in str(pj.summary(one))
    assert f"{OPTION}=0" in str(pj.summary(many))
