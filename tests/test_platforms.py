"""Features that only Linux has. These tests run on Linux and remove them."""

import ast
import io
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import phasejax as pj
from phasejax import _platform, cli

EVERYWHERE = {
    "environ",
    "fsync",
    "getpid",
    "open",
    "close",
    "O_RDONLY",
    "O_RDWR",
    "name",
    "path",
    "_exit",
    "cpu_count",
}
UNIX = {"fcntl", "grp", "pwd", "pty", "resource", "termios", "tty", "syslog"}


def test_usable_cores(monkeypatch):
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    assert _platform.usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert _platform.usable_cores() == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _platform.usable_cores() == 1
    monkeypatch.setattr(os, "process_cpu_count", lambda: 5, raising=False)
    assert _platform.usable_cores() == 5


def test_a_command_runs_without_features_of_linux(tmp_path):
    """A whole command, without the functions that `os` does not have on Windows."""
    script = """
import os, sys
import phasejax as pj
from phasejax import cli
import jax, optax, xarray, zarr
for name in ("sched_getaffinity", "fork", "geteuid", "sync", "killpg", "getpgid"):
    delattr(os, name)
if hasattr(os, "process_cpu_count"):
    os.process_cpu_count = os.cpu_count  # as Python does without sched_getaffinity
words = "sweep --problem quadratic --a 1:9:2 --b 1:9:2 --steps 64 --windows 8 --store s"
code = cli.main(words.split())
sys.exit(code)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_store_is_flushed_under_the_rules_of_windows(tmp_path, monkeypatch, small):
    """Windows cannot open a folder, and flushes only files that are open for writing."""
    writable = {}

    def opened(path, flags):
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        number = os.open(path, flags)
        writable[number] = bool(flags & os.O_RDWR)
        return number

    def fsync(number):
        assert writable[number]
        os.fsync(number)

    windows = types.SimpleNamespace(
        name="nt",
        cpu_count=os.cpu_count,
        open=opened,
        fsync=fsync,
        close=os.close,
        O_RDWR=os.O_RDWR,
        O_RDONLY=os.O_RDONLY,
    )
    monkeypatch.setattr(_platform, "os", windows)
    dataset = pj.sweep(**small, store=tmp_path / "s")
    assert writable
    assert (dataset.status == 1).all()


def test_letters_that_a_console_cannot_print_are_escaped(tmp_path, monkeypatch):
    (tmp_path / "log.csv").write_text("größe\n" + "1\n" * 80, encoding="utf-8")
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", console)
    assert cli.main(["classify", str(tmp_path / "log.csv")]) == 0
    console.flush()
    assert console.buffer.getvalue().count(rb"gr\xf6\xdfe") == 2


@pytest.mark.parametrize(
    "path", sorted(Path(pj.__file__).parent.rglob("*.py")), ids=lambda p: p.name
)
def test_the_package_uses_only_portable_functions_of_os(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "os" or node.attr in EVERYWHERE, ast.unparse(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not names & UNIX, ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given, method = len(node.args) + len(node.keywords), node.func.attr
            assert method not in ("read_text", "write_text") or given > (method == "write_text"), (
                f"{path.name}:{node.lineno}: an encoding, for that of Windows is not UTF-8"
            )
