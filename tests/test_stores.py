"""Stores that are damaged, foreign, newer, or in use; and signals to who writes them."""

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from matplotlib.figure import Figure

import phasejax as pj
from phasejax import cli
from phasejax.engine import tuning
from phasejax.engine.checkpoint import Checkpoint
from phasejax.engine.executors import as_executor
from phasejax.results import store
from phasejax.results.format import WORK
from phasejax.results.opening import KINDS
from tests.campaign_signals import listening

from .serial import Serial, interrupt_at

GRID = {"a": [1.0, 10.0], "b": [1.0, 10.0]}


def swept(path, **arguments):
    call = {"steps": 64, "windows": 8, "store": path} | arguments
    return pj.sweep(pj.problems.quadratic(), pj.adam, pj.Grid(**GRID), **call)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small store."""
    path = tmp_path_factory.mktemp("made") / "s.zarr"
    swept(path)
    return path


@pytest.fixture
def copy(made, tmp_path):
    """A store of one's own, to be damaged."""
    return shutil.copytree(made, tmp_path / "s.zarr")


def snapshot(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_chunks_are_byte_by_byte_those_that_zarr_writes(tmp_path):
    """Of whole tiles, of tiles at the end of an axis, and of each type."""
    grid = pj.Grid(a=pj.log_axis(1, 100, 19), b=pj.log_axis(1, 100, 11))
    run = {"steps": 64, "windows": 8, "block_size": 1, "store": tmp_path / "s"}
    attrs = pj.sweep(pj.problems.quadratic(), pj.adam, grid, **run).attrs
    assert np.all(np.array((19, 11)) % attrs["tile_shape"])
    ours = snapshot(tmp_path / "s")
    with zarr.config.set({"array.write_empty_chunks": True}):
        for array in zarr.open_group(tmp_path / "s", mode="r+").array_values():
            array[...] = array[...]
    assert snapshot(tmp_path / "s") == ours


# What phasejax did not make ----------------------------------------------------------------------


def foreign_group(path):
    zarr.open_group(path, mode="w", zarr_format=3).create_array("x", shape=(2,), dtype="i4")


def foreign_v2_group(path):
    zarr.open_group(path, mode="w", zarr_format=2).create_array("x", shape=(2,), dtype="i4")


def foreign_folder(path):
    (path / "c").mkdir(parents=True)
    (path / "c" / "0.partial").write_text("mine")


def foreign_file(path):
    path.write_text("mine")


def foreign_socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def dangling_link(path):
    path.symlink_to(path.with_name("nowhere"))


FOREIGN = (
    *(foreign_group, foreign_v2_group, foreign_folder, foreign_file, foreign_socket),
    dangling_link,
)


@pytest.mark.parametrize("make", FOREIGN)
@pytest.mark.parametrize("flag", ["overwrite", "resume"])
def test_what_phasejax_did_not_write_is_refused_and_stays(make, flag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    make(tmp_path / "s")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match=r"store = .*s': must be a (Zarr v3 group that|folder)"):
        swept("s", **{flag: True})
    assert snapshot(tmp_path) == before


def test_files_beside_a_store_and_in_it_stay(copy):
    """Under names that a sweep has used, or looks as if it did."""
    for name in ("s.zarr.new/a", "s.zarr.checkpoints/a.npz", "s.zarr.old/a", "s.zarr.lock"):
        path = copy.parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    for name in ("notes.txt", "notes.partial", "regime/notes.partial", "pictures"):
        (copy / name).write_text(name)
    others = {n: v for n, v in snapshot(copy.parent).items() if not n.startswith("s.zarr/")}
    inside = ("notes.txt", "notes.partial", "pictures")
    swept(copy, resume=True)
    assert (copy / "regime/notes.partial").exists()
    swept(copy, overwrite=True, steps=72)
    assert all((copy / name).read_text() == name for name in inside)
    after = snapshot(copy.parent)
    assert {n: v for n, v in after.items() if not n.startswith("s.zarr/")} == others
    assert pj.open_dataset(copy).attrs["steps"] == 72


def test_a_file_where_an_array_would_go_stays(copy):
    (copy / "eps").write_text("mine")
    with pytest.raises(ValueError, match=r"without \['eps'\], which phasejax did not make"):
        pj.sweep(
            *(pj.problems.quadratic(), pj.adam, pj.Grid(eps=[1e-8, 1e-6], a=1.0, b=1.0)),
            **{"steps": 64, "windows": 8, "store": copy, "overwrite": True},
        )
    assert (copy / "eps").read_text() == "mine"
    assert pj.open_dataset(copy).attrs["axes"].keys() == GRID.keys()


def test_pictures_replace_pictures_of_phasejax_alone(copy, capsys):
    for words, name in (
        (["plot"], "phase_diagram.png"),
        (["view", "--no-browser"], "phase_diagram.html"),
    ):
        picture = copy.with_name(name)
        picture.write_text("mine")
        assert cli.main([*words, str(copy)]) == 2
        assert (
            f"must be given: there is {picture}, which phasejax did not" in capsys.readouterr().err
        )
        assert picture.read_text() == "mine"
        picture.unlink()
        assert [cli.main([*words, str(copy)]) for _ in range(2)] == [0, 0]


def test_a_link_to_a_store_is_followed(copy):
    link = copy.with_name("link")
    link.symlink_to(copy.name)
    swept(link, overwrite=True, steps=72)
    assert link.is_symlink()
    assert pj.open_dataset(copy).attrs["steps"] == 72


@pytest.mark.parametrize("damage", ["zarr.json", "regime/zarr.json", "status/zarr.json", "all"])
def test_a_damaged_store_can_be_overwritten(copy, damage):
    for name in ("zarr.json", "regime/zarr.json") if damage == "all" else (damage,):
        (copy / name).write_bytes((copy / name).read_bytes()[:20])
    with pytest.raises(ValueError, match="restore it from a copy, or overwrite it"):
        pj.open_dataset(copy)
    swept(copy, overwrite=True, steps=72)
    assert pj.open_dataset(copy).load().attrs["steps"] == 72


def test_an_overwrite_is_cut_off_anywhere_and_loses_nothing(made, tmp_path, monkeypatch):
    """Before any of its renames: the old sweep is there, or the new one after a resume."""
    rename, seen = store.Path.rename, []
    for cut in (0, 1, 12, 40, 60, 200):
        path, left = shutil.copytree(made, tmp_path / f"{cut}.zarr"), iter(range(cut))

        def cut_off(one, other, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return rename(one, other)

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(store.Path, "rename", cut_off)
            swept(path, overwrite=True, steps=72)
        whole = (path / "zarr.json").exists()
        if not whole:
            with pytest.raises(ValueError, match="its layout is not complete: resume, or over"):
                pj.open_dataset(path)
        seen.append((whole, pj.open_dataset(path).attrs["steps"] if whole else 72))
        assert (swept(path, resume=True, steps=seen[-1][1]).status == 1).all()
        assert {p.name for p in path.iterdir()} == {p.name for p in made.iterdir()}
    assert seen == [(True, 64)] * 2 + [(False, 72)] * 3 + [(True, 72)]


# One at a time -----------------------------------------------------------------------------------


def elsewhere(path, ready, end):
    """Hold a store in another process."""
    with store.Store(path) as held:
        held.lock()
        ready.set()
        end.wait(60)


def test_two_that_write_to_one_store_are_told_of_each_other(copy):
    """A process elsewhere; a thread here; each way to write; readers are let through."""
    context = multiprocessing.get_context("fork")  # it does not compute
    ready, end = context.Event(), context.Event()
    process = context.Process(target=elsewhere, args=(copy, ready, end))
    process.start()
    assert ready.wait(60)
    message = (
        f"one that nobody else writes to; process {process.pid} on {socket.gethostname()} does"
    )
    for flag in ("resume", "overwrite"):
        with pytest.raises(ValueError, match=message):
            swept(copy, **{flag: True})
    complaint = io.StringIO()
    with contextlib.redirect_stderr(complaint):
        assert cli.main(["classify", str(copy)]) == 2
    assert message in complaint.getvalue()
    assert (pj.open_dataset(copy).load().status == 1).all()
    process.kill()
    process.join()
    assert (swept(copy, resume=True).status == 1).all()  # a killed one holds nothing
    assert not (copy / WORK).exists()


def test_of_two_that_create_one_store_one_does(tmp_path):
    path, told = tmp_path / "s.zarr", []

    def second(task):
        with pytest.raises(ValueError, match="must be a new path"):
            swept(path)
        with pytest.raises(ValueError, match=f"process {os.getpid()} on "):
            swept(path, resume=True)
        with pytest.raises(ValueError, match=f"process {os.getpid()} on "):
            store.Store(path)._make_folder()  # it saw nothing there a moment ago
        told.append(task)

    swept(path, executor=Serial(second))
    assert told
    with pytest.raises(ValueError, match="a new path; it has just been made"):
        store.Store(path)._make_folder()
    assert (pj.open_dataset(path).status == 1).all()


@pytest.mark.parametrize("worker", [True, False])
def test_nobody_writes_to_what_has_replaced_a_store(copy, worker):
    """A worker may go on for a while after its sweep was interrupted, and another one has begun;
    and someone may remove the folder of a sweep that runs, and sweep there again.
    """
    created = pj.open_dataset(copy).attrs["created"] if worker else None
    nothing = np.arange(0), {"loss_min": np.empty((0, 8))}, {"regime": np.empty(0, np.int8)}
    first = store.Store(copy, created)
    first.write(*nothing)
    change_attributes(copy, created="later")
    with pytest.raises(store.StoreError, match="has been overwritten meanwhile"):
        first.write(*nothing)


def test_resuming_a_store_without_its_status_says_so(copy):
    shutil.rmtree(copy / "status")
    with pytest.raises(store.StoreError, match="status can't be read"):
        swept(copy, resume=True)
    change_attributes(copy, format=3)
    with pytest.raises(ValueError, match="an earlier version of phasejax wrote the store"):
        swept(copy, resume=True)


def test_a_resumed_store_has_consolidated_metadata(copy):
    metadata = json.loads((copy / "zarr.json").read_text())
    del metadata["consolidated_metadata"]
    (copy / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="Consolidated metadata"):
        zarr.open_consolidated(copy)
    swept(copy, resume=True)
    assert "regime" in zarr.open_consolidated(copy)


def test_a_pool_of_forks_is_refused(tmp_path):
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as executor,
        pytest.raises(ValueError, match=r"start method 'fork': must be .*get_context\(\"spawn\"\)"),
    ):
        swept(tmp_path / "s", executor=executor)
    assert not list(tmp_path.iterdir())

    class Loky(ProcessPoolExecutor):  # it calls its context so
        def __init__(self):
            self._context = multiprocessing.get_context("fork")

    with pytest.raises(ValueError, match="start method 'fork'"):
        as_executor(Loky())
    with ProcessPoolExecutor(1, multiprocessing.get_context("forkserver")) as executor:
        as_executor(executor)


# Signals -----------------------------------------------------------------------------------------

LONG = (
    "sweep --problem quadratic --a 0.3:300:64 --b 0.3:300:64 --steps 20000 --windows 64 "
    "--block-size 4"
)


def begun(path):
    return len(list(path.glob("status/c/*/*"))) > 1


@pytest.mark.parametrize(
    ("number", "moment"), [(signal.SIGTERM, "imports"), (signal.SIGINT, "running")]
)
def test_a_signal_is_one_line(number, moment, tmp_path):
    command = [sys.executable, "-m", "phasejax", *LONG.split(), "--store", "s.zarr"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    reached = {
        "imports": lambda: listening(process.pid),
        "running": lambda: begun(tmp_path / "s.zarr"),
    }
    while not reached[moment]():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    kept = "; finished tiles are kept, continue with --resume" if moment == "running" else ""
    assert (process.returncode, complaint) == (1, f"error: interrupted{kept}\n")
    assert moment == "running" or not (tmp_path / "s.zarr").exists()
    assert not list(tmp_path.glob(f"s.zarr/{WORK}/lock"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_commands_without_a_store_of_their_own_promise_nothing(number, made, monkeypatch, capsys):
    before = signal.getsignal(number)

    def interrupted(*_):
        try:
            signal.raise_signal(number)
        finally:  # what another thread may say while the command ends
            warnings.warn("the store is half written", stacklevel=1)

    monkeypatch.setattr(pj, "summary", interrupted, raising=False)
    assert cli.main(["info", str(made)]) == 1
    assert capsys.readouterr().err == "error: interrupted\n"
    assert signal.getsignal(number) is before


def test_an_interrupt_in_a_destructor_ends_the_process():
    script = (
        "import signal; from phasejax import _interrupt\n"
        "class Slow:\n"
        "    def __del__(self): signal.raise_signal(signal.SIGINT)\n"
        "with _interrupt.heard():\n"
        "    Slow(); print('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: interrupted\n")


def test_python_is_told_what_is_kept(tmp_path):
    with pytest.raises(KeyboardInterrupt) as raised:
        swept(tmp_path / "s", executor=interrupt_at(1))
    assert raised.value.__notes__ == ["finished tiles are kept: continue with resume=True"]
    with pytest.raises(KeyboardInterrupt) as raised:
        swept(None, executor=interrupt_at(1))
    assert not hasattr(raised.value, "__notes__")


# Damage ------------------------------------------------------------------------------------------


def change_attributes(path, **changes):
    file = path / "zarr.json"
    metadata = json.loads(file.read_text())
    for name, value in changes.items():
        metadata["attributes"][name] = value
        if value is None:
            del metadata["attributes"][name]
    file.write_text(json.dumps(metadata))


def commands(path):
    yield from (["info", path], ["plot", path], ["view", path, "--no-browser"], ["classify", path])
    yield ["zoom", path, "--to", "a=1:2", "--store", f"{path}.zoom"]
    words = "sweep --problem quadratic --a 1,10 --b 1,10 --steps 64 --windows 8 --resume --store"
    yield [*words.split(), path]


def assert_one_line(path, code, *texts):
    for words in commands(str(path)):
        complaint = io.StringIO()
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
            answer = cli.main(words)
        error = complaint.getvalue()
        assert answer == code, (words, error)
        assert error.startswith("error: "), (words, error)
        assert error.count("\n") == 1, (words, error)
        assert all(text in error for text in (str(path), *texts)), (words, error)


@pytest.mark.parametrize("name", ["zarr.json", "regime/zarr.json", "a/zarr.json"])
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\xff"])
def test_damaged_metadata_is_one_line(copy, name, damage):
    (copy / name).write_bytes(damage((copy / name).read_bytes()))
    assert_one_line(copy, 2, "is damaged", "restore it from a copy, or overwrite it")


@pytest.mark.parametrize("name", [*KINDS, "steps"])
@pytest.mark.parametrize("value", [None, [3.5, {}]])
def test_a_lost_attribute_is_named(copy, name, value):
    value = {} if isinstance(value, list) and KINDS.get(name) is list else value
    change_attributes(copy, **{name: value})
    with pytest.raises(ValueError, match=rf"a whole sweep; {name}\b.* is missing or damaged: rest"):
        pj.open_dataset(copy)


def test_a_lost_attribute_is_one_line_everywhere(copy):
    change_attributes(copy, steps=None)
    assert_one_line(copy, 2, "steps is missing or damaged")


@pytest.mark.parametrize("name", ["regime", "a", "loss_max", "initial_loss"])
def test_a_lost_variable_is_named(copy, name):
    shutil.rmtree(copy / name)
    with pytest.raises(ValueError, match=rf"a whole sweep; {name} is missing or damaged"):
        pj.open_dataset(copy)


def test_a_newer_format_asks_for_an_upgrade(copy):
    change_attributes(copy, format=99)
    assert_one_line(copy, 2, "99 is of a newer phasejax", "upgrade phasejax")
    swept(copy, overwrite=True)


@pytest.mark.parametrize("damage", [lambda b: b[:-3], lambda b: b"", lambda b: b"\xff" * len(b)])
@pytest.mark.parametrize("name", ["regime", "loss_max", "status"])
def test_a_damaged_chunk_is_named(copy, name, damage):
    chunk = next(path for path in (copy / name / "c").rglob("*") if path.is_file())
    chunk.write_bytes(damage(chunk.read_bytes()))
    dataset = pj.open_dataset(copy)
    with pytest.raises(store.StoreError, match=f"store = .*: {name} can't be read .* from a copy"):
        dataset[name].load()


def test_a_damaged_chunk_is_one_line(copy, capsys):
    for name in ("regime", "status"):
        chunk = next(path for path in (copy / name / "c").rglob("*") if path.is_file())
        chunk.write_bytes(chunk.read_bytes()[:-3])
    for words in commands(str(copy)):
        if words[0] != "zoom":  # it reads the configuration alone
            assert cli.main(words) == 1
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert "can't be read" in error


def test_a_damaged_chunk_is_named_where_a_tile_is_filled_up(copy):
    chunk = next(path for path in (copy / "loss_max" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-3])
    array = zarr.open_group(copy)["loss_max"]
    assert isinstance(array, zarr.Array)
    with pytest.raises(store.StoreError, match=r"s\.zarr.*: loss_max can"):
        store._put(array, (slice(0, 2), slice(0, 2)), ([0], [0]), np.zeros((1, 8)))


def test_a_store_with_other_files_in_it_opens_without_a_word(copy):
    (copy / "notes.txt").write_text("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pj.open_dataset(copy).load()


def test_damaged_checkpoints_are_not_trusted(tmp_path, eager_checkpoints):
    kept, tree = Checkpoint(tmp_path, np.arange(5)), {"x": np.arange(3.0), "n": np.array(2)}
    kept.save(tree)
    assert kept.path is not None
    whole = kept.path.read_bytes()
    for place in range(len(whole)):
        kept.path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found = kept.load(tree)
        assert found is None or all(np.array_equal(found[name], tree[name]) for name in tree)


@pytest.mark.parametrize(
    "text",
    ['{"k": 1e999}', '{"k": 1e30}', '{"k": NaN}', '{"k": true, "l": "4"}', "[" * 10**5, "\xff"],
)
def test_damaged_measurements_count_as_none(text, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "phasejax" / "block_sizes.json"
    path.parent.mkdir()
    path.write_text(text, encoding="latin1")
    assert tuning._read() == {}


@pytest.mark.parametrize("name", ["c.csv", "c.npy"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00\x93", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff{"]
)
def test_damaged_files_of_curves_are_one_line(name, content, tmp_path, capsys):
    path = tmp_path / name
    path.write_bytes(content)
    assert cli.main(["classify", str(path)]) == 2
    path.unlink()
    assert cli.main(["classify", str(path)]) == 2
    path.mkdir()
    assert cli.main(["classify", str(path)]) == 2
    for error in capsys.readouterr().err.splitlines():
        assert error.startswith(f"error: PATH = '{path}': must be a")


def test_what_only_looks_like_ours_is_not_overwritten(small, tmp_path):
    """Groups of a user's own with attributes or variables of a sweep, and arrays in a store."""
    dataset = pj.sweep(**small, store=tmp_path / "s").load()
    precious = xr.Dataset({"precious": ("x", np.arange(3.0))})
    noted = precious.assign_attrs(note={"made_with": {"phasejax_version": "1"}})
    derived = dataset[["margin"]].merge(precious, combine_attrs="override")
    for name, other in {"noted": noted, "derived": derived}.items():
        other.to_zarr(tmp_path / name, zarr_format=3)
        with pytest.raises(ValueError, match="must be a Zarr v3 group that phasejax wrote"):
            pj.sweep(**small, store=tmp_path / name, overwrite=True)
    precious.to_zarr(tmp_path / "s", mode="a", zarr_format=3)
    with pytest.raises(ValueError, match=r"must be without \['precious'\], which phasejax did not"):
        pj.sweep(**small, store=tmp_path / "s", overwrite=True)
    for name in ("noted", "derived", "s"):
        np.testing.assert_array_equal(xr.open_zarr(tmp_path / name).precious, np.arange(3.0))


def test_a_working_folder_of_somebody_else_is_left_alone(small, tmp_path):
    victim = tmp_path / "victim"
    (victim / "old").mkdir(parents=True)
    (victim / "old" / "thesis").write_text("mine")
    (tmp_path / "b" / WORK / "mine").mkdir(parents=True)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / WORK).symlink_to(victim)
    for name in ("b", "e"):
        with pytest.raises(ValueError, match="nothing is changed there"):
            pj.sweep(**small, store=tmp_path / name, resume=True)
    assert (victim / "old" / "thesis").read_text() == "mine"
    assert (tmp_path / "b" / WORK / "mine").is_dir()


def test_a_platform_that_is_not_there_is_one_line(tmp_path):
    platform = "cuda" if not shutil.which("nvidia-smi") else "nonsense"
    command = [sys.executable, "-m", "phasejax", *LONG.split(), "--store", "s"]
    environment = os.environ | {"JAX_PLATFORMS": platform}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: JAX_PLATFORMS = '{platform}': must be a platform of this"
    )
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [r"$\badcmd$", "costs $5", "$x$ and $y$"])
def test_names_are_no_formulas(made, name):
    dataset = pj.open_dataset(made)
    dataset.attrs |= {"optimizer": name, "problem": name, "title": name}
    dataset = dataset.rename(a=name)
    figure = pj.phase_diagram(dataset, lines={name: lambda x: x})
    figure.draw_without_rendering()
    assert any(name in text for text in shown(figure))
    pj.comparison(dataset, dataset).draw_without_rendering()


def shown(figure: Figure):
    """Texts of a figure as they are drawn."""
    texts: list[Any] = figure.findobj(lambda artist: hasattr(artist, "_preprocess_math"))
    for text in texts:
        yield text._preprocess_math(text.get_text())[0]


def test_a_store_of_an_earlier_format_opens_and_is_understood(tmp_path, made):
    """Formats up to 3 had other names for some attributes, and no status at first."""
    old = pj.open_dataset(made).load().drop_vars("status")
    attrs = dict(old.attrs) | {"format": 3}
    for name in ("unit", "horizon", "dynamics"):
        del attrs[name]
    for former, now in (("lanes", "block_size"), ("lanes_source", "block_size_source")):
        attrs[former] = attrs.pop(now)
    old = old.drop_attrs(deep=False).assign_attrs(attrs)
    old.to_zarr(tmp_path / "old.zarr", zarr_format=3, consolidated=False)
    found, new = pj.open_dataset(tmp_path / "old.zarr"), pj.open_dataset(made)
    for name in ("unit", "horizon", "block_size", "block_size_source"):
        assert found.attrs[name] == new.attrs[name]
    assert (found.status == 1).all()
    assert str(pj.summary(found)) == str(pj.summary(new))
    np.testing.assert_array_equal(pj.classify(found).regime, new.regime)
    assert cli.main(["plot", str(tmp_path / "old.zarr")]) == 0
    with pytest.raises(ValueError, match=r"an earlier version .* format is 3, now 5"):
        swept(tmp_path / "old.zarr", resume=True)
