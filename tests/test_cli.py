"""The command line, end to end: what is written, printed and returned."""

import contextlib
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import phasejax as pj
from phasejax import cli


def phasejax(*arguments, cwd):
    """Run the command line in this process, which has JAX already."""
    printed, complained = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(complained),
    ):
        code = cli.main(list(arguments))
    return subprocess.CompletedProcess(arguments, code, printed.getvalue(), complained.getvalue())


def run(command: str):
    """Run a command line; returns the exit code."""
    return cli.main(command.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one small sweep on real data in it."""
    path = tmp_path_factory.mktemp("cli")
    sweep = (
        "sweep --problem digits --problem-arg samples=16 --problem-arg hidden=4,4 "
        "--optimizer adam --a 0.3:300:4 --b 0.3:300:3 --steps 512 --learning-rate 1e-3 "
        "--eps 1e-8 --seed 0 --dtype float64 --store out/s.zarr"
    )
    done = subprocess.run(
        [sys.executable, "-m", "phasejax", *sweep.split()],
        capture_output=True,
        text=True,
        cwd=path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no progress bar in a pipe
    assert "12 cells:" in done.stdout
    return path


def test_sweep_writes_what_was_asked_for(folder):
    dataset = xr.open_zarr(folder / "out/s.zarr")
    np.testing.assert_allclose(dataset.a, np.geomspace(0.3, 300, 4))
    assert dataset.sizes == {"a": 4, "b": 3, "window": 256}
    assert dataset.attrs["problem_arguments"]["hidden"] == [4, 4]
    assert dataset.attrs["steps"] == 512
    assert dataset.attrs["fixed"]["learning_rate"] == 1e-3


def test_a_flow_is_an_optimizer_with_a_time(tmp_path):
    done = phasejax(
        *"sweep --problem quadratic --optimizer adam_flow --a 1:100:3 --b 1:100:3".split(),
        *"--eps-root 1e-4 --time 5 --rtol 1e-7 --atol 1e-12 --max-steps 700".split(),
        *"--solver tsit5".split(),
        *"--windows 32 --store flow.zarr".split(),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    dataset = xr.open_zarr(tmp_path / "flow.zarr")
    assert dataset.attrs["time"] == 5.0
    assert (dataset.attrs["rtol"], dataset.attrs["solver"]) == (1e-7, "tsit5")
    counts = json.loads(phasejax("info", "flow.zarr", "--json", cwd=tmp_path).stdout)["regimes"]
    assert counts["unresolved"] == int((dataset.end_time < 5.0).sum())
    assert 0 < counts["unresolved"] < 9
    assert sum(counts.values()) == 9
    relabelled = phasejax("classify", "flow.zarr", cwd=tmp_path)
    assert relabelled.returncode == 0
    assert f"unresolved {counts['unresolved']} " in " ".join(relabelled.stdout.split())
    at = phasejax("info", "flow.zarr", "--at", "a=1,b=1", cwd=tmp_path).stdout
    assert "loss_floor" in at


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--optimizer adam_flow", "--time is missing"),
        ("--optimizer adam_flow --time 0", "--time = 0.0: must be a finite number greater than 0"),
        ("--optimizer adam_flow --time 1 --steps 9", "--steps = 9: must be left out for a flow"),
        ("--optimizer adam_flow --time 1 --solver rk", "--solver = 'rk': unknown"),
        ("--optimizer adam_flow --time 1 --rtol 0.1", "--rtol = 0.1: must be from 2e-15 to 1e-06"),
        (
            "--optimizer adam_flow --time 1 --dtype float32",
            "--dtype = 'float32': must be 'float64'",
        ),
        ("--optimizer adam --time 1", "--time = 1.0: must be left out for an optimizer"),
        ("--optimizer adam --rtol 1e-8", "--rtol = 1e-08: must be left out: adam is not a flow"),
    ],
)
def test_flags_of_a_flow_are_checked(flags, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = f"sweep --problem quadratic --a 1,2 --b 1 {flags} --store s.zarr".split()
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert not (tmp_path / "s.zarr").exists()


def test_info_counts_every_cell(folder):
    answer = json.loads(phasejax("info", "out/s.zarr", "--json", cwd=folder).stdout)
    assert sum(answer["regimes"].values()) == 12
    assert set(answer["regimes"]) == {
        "spike",
        "oscillation",
        "divergence",
        "converged",
        "descending",
    }
    text = " ".join(phasejax("info", "out/s.zarr", cwd=folder).stdout.split())
    for name, count in answer["regimes"].items():
        assert f"{name} {count} " in text
    assert "digits" in text
    assert "learning_rate" in text


def test_info_describes_the_nearest_cell(folder):
    cell = json.loads(
        phasejax("info", "out/s.zarr", "--json", "--at", "a=2,b=100", cwd=folder).stdout
    )
    assert cell["a"] == pytest.approx(3)
    assert cell["b"] == pytest.approx(300)
    dataset = pj.open_dataset(folder / "out/s.zarr").sel(a=3, b=300, method="nearest")
    assert cell["late_level"] == float(dataset.late_level)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot_writes_a_figure(folder, suffix):
    done = phasejax("plot", "out/s.zarr", "--output", f"figure.{suffix}", "--late-loss", cwd=folder)
    assert done.returncode == 0, done.stderr
    start = (folder / f"figure.{suffix}").read_bytes()[:200]
    assert {"png": b"PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix] in start


def test_view_writes_a_page(folder):
    """tests/test_page.py opens it."""
    done = phasejax("view", "out/s.zarr", "--no-browser", cwd=folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "out/phase_diagram.html").read_text()
    assert "12 cells" in page
    assert "<title>adam on digits</title>" in page


def test_classify_relabels_a_store(folder):
    before = pj.open_dataset(folder / "out/s.zarr").regime.values
    done = phasejax("classify", "out/s.zarr", cwd=folder)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(pj.open_dataset(folder / "out/s.zarr").regime, before)


def test_classify_subtracts_a_minimum(tmp_path, capsys):
    np.savetxt(tmp_path / "log.csv", 3 + 10.0 ** (-np.arange(2000) / 300))
    for arguments, regime in [([], "converged"), (["--minimum", "3"], "descending")]:
        assert cli.main(["classify", str(tmp_path / "log.csv"), *arguments]) == 0
        assert f"column 0  {regime}" in capsys.readouterr().out
    assert cli.main(["classify", str(tmp_path / "log.csv"), "--minimum", "4"]) == 2
    assert "must be at least minimum = 4.0" in capsys.readouterr().err


def test_resume_and_overwrite(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    command = [
        "sweep",
        "--problem",
        "quadratic",
        "--a",
        "1:9:2",
        "--b",
        "1,2",
        "--steps",
        "256",
        "--store",
        "q.zarr",
    ]
    assert cli.main(command) == 0
    assert cli.main(command) == 2
    assert "--store = 'q.zarr': must be a new path" in capsys.readouterr().err
    assert cli.main([*command, "--resume"]) == 0
    assert cli.main([*command, "--overwrite"]) == 0
    assert cli.main([*command, "--resume", "--eps", "1e-6"]) == 2
    assert "fixed differs" in capsys.readouterr().err


def test_other_optimizers_and_own_files_are_reachable(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import jax.numpy as jnp, optax, phasejax as pj\n"
        "def bowl(depth=1.0):\n"
        "    return pj.Problem(lambda x: depth * jnp.sum(x**2), lambda key: jnp.ones(2), 'bowl')\n"
        "def plain(rate, momentum=0.0):\n"
        "    return optax.sgd(rate, momentum)\n"
    )
    command = (
        "sweep --problem mine.py:bowl --problem-arg depth=0.5 --optimizer mine.py:plain "
        "--axis rate=0.1:1.9:3:linear --axis momentum=0,0.5 --steps 256 --store mine.zarr"
    )
    assert run(command) == 0
    command = (
        "sweep --problem quadratic --optimizer adamw --axis b1=0:0.9:3:linear "
        "--axis weight_decay=0,0.1 --learning-rate 0.01 --steps 256 --seed 0,1 --store w.zarr"
    )
    assert run(command) == 0
    assert pj.open_dataset("w.zarr").regime.dims == ("seed", "b1", "weight_decay")
    assert cli.main(["plot", "w.zarr", "--at", "seed=1", "--x", "weight_decay"]) == 0
    assert cli.main(["plot", "w.zarr"]) == 2
    capsys.readouterr()


def test_planes_seeds_and_borders_are_reachable(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = "sweep --problem quadratic --a 1:100:5 --b 1:100:5 --learning-rate 1e-3,3e-3 "
    command += "--seed 0,1 --steps 128 --windows 32 --refine a=9,b=9"
    assert run(command) == 0
    assert "of them computed" in capsys.readouterr().out
    for flags in (
        "--over learning_rate --at seed=1",
        "--probability --at learning_rate=1e-3",
        "--probability --over learning_rate --at seed=0 --x b",
    ):
        assert cli.main(["plot", "sweep.zarr", *flags.split(), "--output", "f.svg"]) == 0
    capsys.readouterr()
    assert cli.main(["plot", "sweep.zarr", "--over", "seed"]) == 2
    assert "STORE axes = " in capsys.readouterr().err
    assert cli.main(["border", "sweep.zarr", "--at", "seed=0,learning_rate=1e-3"]) == 2
    assert "at least 129 values" in capsys.readouterr().err
    for value in ("nine", "a=b"):
        assert cli.main([*command.split()[:-1], value, "--overwrite"]) == 2
        assert f"--refine = '{value}': must be COUNT" in capsys.readouterr().err


def test_border_prints_a_dimension_and_its_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = "sweep --problem quadratic --problem-arg spectrum=1.0,1.0 --optimizer sgd "
    command += "--learning-rate 1:4.5:9:linear --axis momentum=0:0.9:9:linear --steps 1000 "
    command += "--windows 32 --refine 129"
    assert run(command) == 0
    capsys.readouterr()
    assert run("border sweep.zarr --regime divergence --json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["dimension"] == pytest.approx(1.0, abs=0.05)
    assert run("border sweep.zarr --regime divergence") == 0
    text = capsys.readouterr().out
    assert f"dimension {found['dimension']:.3f} ± {found['error']:.3f}" in text


def test_a_failed_run_exits_1(tmp_path, monkeypatch, capsys, on_advance):
    def failing(*_):
        raise RuntimeError("no memory")

    on_advance(failing)
    monkeypatch.chdir(tmp_path)
    assert (
        cli.main(["sweep", "--problem", "quadratic", "--a", "1:2:2", "--b", "1", "--steps", "256"])
        == 1
    )
    assert "no memory" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["sweep", "zoom", "classify", "plot", "view", "border", "info"])
def test_help_tells_a_newcomer(command, capsys):
    assert cli.main([command, "--help"]) == 0
    assert "Usage: phasejax" in capsys.readouterr().out


def test_help_names_every_problem(capsys):
    cli.main(["sweep", "--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in pj.problems.BUILT_IN)


@pytest.mark.parametrize("command", [["--help"], ["sweep", "--help"]])
def test_help_does_not_wait_for_jax(command):
    script = (
        "import sys; from phasejax import cli\n"
        f"assert cli.main({command}) == 0\n"
        "heavy = {'jax', 'optax', 'xarray', 'pandas', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_second_process_finds_the_compiled_programs(tmp_path):
    """Not one program is compiled again: what misses the cache is what is not kept in it."""
    script = (
        "import sys, jax; from phasejax import cli\n"
        "heard = []\n"
        "jax.monitoring.register_event_listener(lambda name, **_: heard.append(name))\n"
        "words = 'sweep --problem quadratic --a 1:9:2 --b 1:9:2 --steps 64 --windows 8'\n"
        "cli.main([*words.split(), '--overwrite'])\n"
        "print(heard.count('/jax/compilation_cache/cache_hits'),"
        " heard.count('/jax/compilation_cache/cache_misses'))\n"
    )
    counts = []
    environment = {name: v for name, v in os.environ.items() if not name.startswith("JAX_")}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        )
        counts.append([int(n) for n in done.stdout.splitlines()[-1].split()])
    (hits, misses), (hits_again, misses_again) = counts
    assert (hits, misses_again) == (0, 0)
    assert hits_again == misses > 0


def test_progress_shows_on_a_terminal(tmp_path):
    script = (
        "import pty, os, sys\n"
        "command = f'stty cols 99 rows 9; {sys.executable} -m phasejax sweep '\n"
        "command += '--problem quadratic --a 1:9:2 --b 1 --steps 256 --store s'\n"
        "sys.exit(os.waitstatus_to_exitcode(pty.spawn(['sh', '-c', command])))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    assert "cell-step/s" in done.stdout
    assert "256 steps: 100%" in done.stdout
    assert "2/2 cells" in done.stdout
