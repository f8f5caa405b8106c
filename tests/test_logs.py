"""Training logs of other programs: what is read of each format, and how broken ones are refused."""

import gzip
import json
import math
import sys
import time

import numpy as np
import pandas as pd
import pytest

import phasejax as pj
from phasejax import cli
from phasejax.logs import names
from tests.labelled_logs import read as labelled
from tests.labelled_logs import write

N = 40
STEP = np.arange(N) * 10
LOSS = np.round(2.5 * 0.97 ** np.arange(N) + 0.1 * np.sin(np.arange(N)), 4)
VALIDATION = np.where(np.arange(N) % 10 == 0, LOSS + 0.25, np.nan)


def saved(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def assert_read(path, loss=LOSS, step=STEP):
    """Read the only run of a file, and compare it."""
    log = pj.read_log(path)
    assert len(log.losses) == 1, log
    curve = log.curve()
    np.testing.assert_array_equal(curve.to_numpy(), loss)
    np.testing.assert_array_equal(curve.index, step)
    return log


def rows():
    """The run as rows of tests/labelled_logs/write.py."""
    return [
        write.Row(int(s), float(x), 1e-3, 0.5, float(v), 400, 1 + i / 10, float(x), float(x))
        for i, (s, x, v) in enumerate(zip(STEP, LOSS, VALIDATION, strict=True))
    ]


TAKEN = {
    "Hugging Face": ("Hugging Face trainer_state.json", "loss", "step", "eval_loss"),
    "Lightning": ("Lightning metrics.csv", "train_loss", "step", "val_loss"),
    "Keras": ("Keras CSV log", "loss", "epoch", "val_loss"),
    "TensorBoard": ("TensorBoard CSV export", "Value", "Step", "Wall time"),
    "W&B": ("W&B CSV export", "worthy-sun-7 - train/loss", "Step", None),
    "tabs": ("tab-separated table", "train_loss", "step", "grad_norm"),
    "semicolons": ("semicolon-separated table", "loss", "iteration", "epoch"),
    "bare": ("whitespace-separated table", "column 1", "step", None),
    "JSON lines": ("JSON lines", "train_loss", "step", "val_loss"),
    "nanoGPT": ("nanoGPT", "loss", "step", "val loss"),
    "modded-nanogpt": ("modded-nanogpt", "train_loss", "step", "val_loss"),
    "llm.c": ("llm.c", "trl", "step", "tel"),
    "Megatron": ("Megatron", "lm loss", "step", "loss scale"),
    "nanotron": ("nanotron", "lm_loss", "step", "grad_norm"),
    "fairseq": ("fairseq", "loss", "num_updates", "valid_loss"),
    "Composer": ("Composer", "loss/train/total", "batch", "time/batch"),
}


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("program", TAKEN)
def test_loss_and_step_are_found(program, ending, tmp_path):
    """Whatever the file is called."""
    text = write.FORMATS[program][0](rows()).encode()
    path = saved(tmp_path, f"file{ending}", gzip.compress(text) if ending else text)
    steps = np.arange(N) if program == "Keras" else STEP
    log = assert_read(path, step=steps)
    format, loss, step, other = TAKEN[program]
    assert (log.format, log.losses, log.step) == (format, (loss,), step)
    assert other is None or other in log.others


FILES = sorted((labelled.HERE / "files").iterdir())
RESTARTED = (
    "characters-4.megatron.log.gz",
    "recurrent-4.modded.log.gz",
    "reader-1.modded.log.gz",
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_labelled_logs_are_read_whole(path):
    """Every row with a loss is in the curve, unless the run was restarted before it."""
    endings = {ending: program for program, (_, ending) in write.FORMATS.items()}
    format, loss, step, _ = TAKEN[endings[path.name.removesuffix(".gz").partition(".")[2]]]
    log = pj.read_log(path)
    assert (log.format, log.losses, log.step) == (format, (loss,), step)
    finite = [note for note in log.notes if "not finite" not in note]
    assert bool(finite) == (path.name in RESTARTED)
    assert path.name in RESTARTED or len(log.curve()) == len(log.columns[loss])


FRAME = pd.DataFrame({"step": STEP, "loss": LOSS, "lr": 1e-3, "phase": "warm up"})
TEXTS = {
    "comma.CSV": FRAME.to_csv(index=False),
    "tab.tab": FRAME.to_csv(index=False, sep="\t"),
    "tab.tsv": FRAME.to_csv(index=False, sep="\t"),
    "semicolon.txt": FRAME.to_csv(index=False, sep=";"),
    "pipe.log": FRAME.to_csv(index=False, sep="|"),
    "quoted.csv": FRAME.to_csv(index=False, quoting=1),
    "index.csv": FRAME.to_csv(),
    "locale.csv": FRAME.to_csv(index=False, sep=";", decimal=","),
    "blanks.txt": FRAME.drop(columns="phase").to_string(index=False),
    "named index.txt": FRAME.drop(columns="phase").to_csv(index=False, sep=" "),
    "bom.csv": "\ufeff" + FRAME.to_csv(index=False),
    "utf16.csv": FRAME.to_csv(index=False, sep="\t").encode("utf-16"),
    "latin.csv": FRAME.to_csv(index=False).replace("warm up", "größer").encode("latin-1"),
    "comments.csv": "# made by me\n" + FRAME.to_csv(index=False) + "# the end\n",
    "comment names.txt": "# step loss\n"
    + "".join(f"{s} {x}\n" for s, x in zip(STEP, LOSS, strict=True)),
    "late comments.csv": FRAME.to_csv(index=False).replace("warm up", "warm up # so"),
    "trailing.csv": FRAME.drop(columns="phase").to_csv(index=False).replace("0.001", "0.001,"),
    "trailing all.csv": FRAME.to_csv(index=False).replace("\n", ",\n"),
    "crlf.csv": FRAME.to_csv(index=False).replace("\n", "\r\n"),
    "empty lines.csv": FRAME.to_csv(index=False).replace("\n", "\n\n"),
    "no end.csv": FRAME.to_csv(index=False).rstrip(),
    "spaces.csv": FRAME.to_csv(index=False).replace(",", ", "),
    "twice the header.csv": FRAME.to_csv(index=False) + "step,loss,lr,phase\n",
    "records.json": FRAME.to_json(orient="records"),
    "columns.json": json.dumps(FRAME.to_dict("list")),
    "history.json": json.dumps({"model": "m", "history": FRAME.to_dict("list")}),
    "lines.jsonl": FRAME.to_json(orient="records", lines=True),
    "texts.jsonl": FRAME.astype(str).to_json(orient="records", lines=True),
    "inside.jsonl": "".join(
        json.dumps({"step": int(s), "train": {"loss": x}, "shape": [1, 2]}) + "\n"
        for s, x in zip(STEP, LOSS, strict=True)
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_tables_and_json_of_any_kind(name, tmp_path):
    log = assert_read(saved(tmp_path, name, TEXTS[name]))
    assert "phase" not in log.table


def test_printed_dicts_and_lines_of_unknown_programs(tmp_path):
    printed = [str({"loss": x, "lr": 1e-3, "epoch": i}) for i, x in enumerate(LOSS.tolist())]
    printed[5:5] = ["{'eval_loss': 2.0, 'epoch': 4}", "100%|####| 5/40"]
    printed.append("{'train_runtime': 9.0, 'train_loss': 1.5, 'epoch': 40}")
    log = assert_read(saved(tmp_path, "out", "\n".join(printed)), step=np.arange(N))
    assert (log.format, log.step) == ("Hugging Face output", "epoch")
    lines = (
        f"[2024-05-01 10:00] epoch {s // 80}, step {s}/390 | loss: {x} | {s / 7:.1f} tokens/s"
        for s, x in zip(STEP, LOSS, strict=True)
    )
    assert_read(saved(tmp_path, "out", "\n".join(lines)))
    lines = (f"Iteration {s} train_loss={x} val_loss=2.5" for s, x in zip(STEP, LOSS, strict=True))
    assert_read(saved(tmp_path, "out", "\n".join(lines)))


BAR, DONE = "\x1b[32m━\x1b[37m━\x1b[0m", "\x1b[32m━━\x1b[0m"
PRINTED = {
    "Keras 3": "Epoch {i}/40\n\x1b[1m  9/99\x1b[0m "
    + BAR
    + " \x1b[1m9s\x1b[0m 1ms/step - loss: 9.5\r\x1b[1m99/99\x1b[0m "
    + DONE
    + " \x1b[1m3s\x1b[0m 1ms/step - accuracy: 0.8 - loss: {x} - val_loss: 0.5\n",
    "Keras 2": "Epoch {i}/40\n 1/99 [....] - ETA: 9s - loss: 9.5\b\b\b\b 50/99 [=>..] - loss: 9.5"
    "\b\b\b\b99/99 [====] - 3s 1ms/step - loss: {x} - accuracy: 0.8\n",
    "a loop of PyTorch's tutorial": "loss: {x}  [{i:5d}/60000]\nTest: Accuracy: 64.9%, lr: 0.1\n",
}


@pytest.mark.parametrize("program", PRINTED)
def test_lines_without_a_step_are_counted(program, tmp_path):
    """Of a progress bar, the line of its end."""
    text = "".join(PRINTED[program].format(i=i, x=x) for i, x in enumerate(LOSS))
    log = pj.read_log(saved(tmp_path, "out", text))
    assert (log.losses, log.step) == (("loss",), None)
    np.testing.assert_array_equal(log.curve(), LOSS)


def test_a_loss_that_the_trainer_wrote_as_zero_is_nan(tmp_path):
    """`logging_nan_inf_filter` makes zero of nan."""
    rows = [{"step": i, "loss": 4 - 0.01 * i, "grad_norm": 1.0} for i in range(90)]
    rows += [{"step": i, "loss": 0.0, "grad_norm": float("nan")} for i in range(90, 150)]
    path = saved(tmp_path, "trainer_state.json", json.dumps({"log_history": rows}))
    assert pj.read_log(path).notes == ("loss: not finite: 60, first at 90",)
    assert str(pj.classify_log(path)["loss"]) == "divergence"


def test_columns_of_text_are_listed(tmp_path):
    log = pj.read_log(saved(tmp_path, "log", TEXTS["comma.CSV"]))
    assert log.text == ("phase",)
    assert list(log.table) == ["step", "loss", "lr"]


def counted(text, tmp_path):
    """Runs without steps: their names and losses."""
    log = pj.read_log(saved(tmp_path, "log.csv", text))
    assert log.step in (None, "index", "step")
    return {name: log.curve(name).to_numpy().tolist() for name in log.losses}


def test_tables_without_names(tmp_path):
    two = pd.DataFrame(np.round(np.stack([LOSS, LOSS + 1], 1), 3))
    values = {str(i): two[i].tolist() for i in two}
    unnamed = {f"column {i}": two[i].tolist() for i in two}
    assert counted(two.to_csv(), tmp_path) == values  # pandas' header ,0,1
    assert counted(two.to_csv(index=False), tmp_path) == values  # 0,1
    assert counted(two.to_csv(header=False, index=False), tmp_path) == unnamed
    assert counted(two.to_csv(header=False), tmp_path) == {
        f"column {i + 1}": two[i].tolist() for i in two
    }
    assert counted("\n".join(map(str, LOSS)), tmp_path) == {"column 0": LOSS.tolist()}


def test_every_column_of_unknown_name_is_a_run_unless_it_looks_like_none(tmp_path):
    frame = FRAME.drop(columns=["loss", "phase"]).assign(good=LOSS, bad=-LOSS, time=1, grad_norm=2)
    log = pj.read_log(saved(tmp_path, "log", frame.to_csv(index=False)))
    assert log.losses == ("good", "bad")
    reward = frame[["step", "lr"]].assign(reward=-LOSS)
    path = saved(tmp_path, "log", reward.to_csv(index=False))
    assert_read(path, loss=-LOSS)
    assert pj.classify_log(path)["reward"].floor_estimated


def test_two_columns_of_one_name_are_two_runs(tmp_path):
    text = "step,loss,loss\n" + "".join(
        f"{s},{x},{x + 1}\n" for s, x in zip(STEP, LOSS, strict=True)
    )
    log = pj.read_log(saved(tmp_path, "log.csv", text))
    assert log.losses == ("loss", "loss.1")


def test_weights_and_biases_with_several_runs(tmp_path):
    first = np.where(STEP < 300, LOSS, np.nan)
    frame = pd.DataFrame({"Step": STEP})
    for run, values in {"calm-1": LOSS, "odd - 2": first}.items():
        for ending in ("", "__MIN", "__MAX"):
            frame[f"{run} - train/loss{ending}"] = values
    log = pj.read_log(saved(tmp_path, "log.csv", frame.to_csv(index=False, quoting=1)))
    assert log.losses == ("calm-1 - train/loss", "odd - 2 - train/loss")
    np.testing.assert_array_equal(log.curve(log.losses[1]).index, STEP[STEP < 300])


@pytest.mark.parametrize(
    ("columns", "taken"),
    [
        ("step train_loss loss val_loss", "train_loss"),
        ("step loss train_loss_epoch", "loss"),
        ("epoch step train_loss_epoch train_loss_step", "train_loss_step"),
        ("step val_loss lr", "val_loss"),
        ("step eval/loss train/loss", "train/loss"),
        ("step valLoss trainLoss", "trainLoss"),
        ("step policy_loss value_loss", "policy_loss"),
        ("step Loss/train Loss/test", "Loss/train"),
        ("step loss_scale mse acc", "mse"),
        ("global_step elbo neg_elbo", "neg_elbo"),
        ("run1/loss run2/loss run1/acc", "run1/loss run2/loss"),
        ("step epoch lr grad_norm time", ""),
    ],
)
def test_which_column_is_the_loss(columns, taken):
    assert names.losses(columns.split()) == tuple(taken.split())


def test_a_written_nan_is_a_loss_and_an_empty_cell_is_not(tmp_path):
    cells = [*map(str, LOSS[:30]), "", "1e400", "-inf", "NaN", "", "nan", "nan"]
    expected = np.r_[LOSS[:30], np.inf, -np.inf, np.nan, np.nan, np.nan]
    step = np.r_[:30, 31, 32, 33, 35, 36]
    text = "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    assert_read(saved(tmp_path, "log.csv", "step,loss\n" + text), expected, step)
    values = [*LOSS[:30].tolist(), None, math.inf, -math.inf, math.nan, None, "nan", "NaN"]
    lines = (json.dumps({"step": i, "loss": value}) for i, value in enumerate(values))
    assert_read(saved(tmp_path, "log.jsonl", "\n".join(lines)), expected, step)


def test_a_first_row_of_nan_is_no_header(tmp_path):
    text = "NaN,1.5\n" + "".join(f"{x},{x + 1}\n" for x in LOSS)
    log = pj.read_log(saved(tmp_path, "log.csv", text))
    assert log.losses == ("column 0", "column 1")
    assert np.isnan(log.curve().iloc[0])


def test_diverged_runs_are_divergences(tmp_path):
    text = "step,loss\n" + "".join(f"{i},{1.5 ** (i + 1)}\n" for i in range(60))
    path = saved(tmp_path, "log.csv", text + "".join(f"{i},nan\n" for i in range(60, 80)))
    assert str(pj.classify_log(path)["loss"]) == "divergence"


def test_a_restart_replaces_the_rows_that_are_run_again(tmp_path):
    step = np.r_[STEP[:30], STEP[20:]]
    loss = np.r_[LOSS[:30] + 1, LOSS[20:]]
    text = pd.DataFrame({"step": step, "loss": loss}).to_csv(index=False)
    log = assert_read(saved(tmp_path, "log.csv", text), np.r_[LOSS[:20] + 1, LOSS[20:]])
    assert "restarts from an earlier step: 1; " in log.notes[0]
    assert log.notes[0].endswith(": 10")


def test_of_repeated_steps_the_last_row_is_kept(tmp_path):
    frame = pd.DataFrame({"step": np.r_[STEP[:5], STEP[4:]], "loss": np.r_[LOSS[:5] + 1, LOSS[4:]]})
    log = assert_read(
        saved(tmp_path, "log.csv", frame.to_csv(index=False)), np.r_[LOSS[:4] + 1, LOSS[4:]]
    )
    assert log.notes == ("loss: repeated steps: 1; the last row of each is kept",)


def test_counters_that_start_again_are_no_step(tmp_path):
    """Batches of an epoch; an epoch of many rows."""
    frame = pd.DataFrame({"epoch": np.arange(N) // 8, "batch": np.arange(N) % 8, "loss": LOSS})
    assert_read(saved(tmp_path, "log.csv", frame.to_csv(index=False)), step=np.arange(N))
    frame["step"] = STEP
    assert_read(saved(tmp_path, "log.csv", frame.to_csv(index=False)))


def test_column_and_step_can_be_named(tmp_path):
    path = saved(tmp_path, "log.csv", FRAME.assign(mine=LOSS + 1, at=STEP + 5).to_csv(index=False))
    curve = pj.read_log(path, column="mine", step="at").curve()
    np.testing.assert_array_equal(curve.to_numpy(), LOSS + 1)
    np.testing.assert_array_equal(curve.index, STEP + 5)
    assert pj.read_log(path, column=["mine", "loss"]).losses == ("mine", "loss")
    for wrong in ({"column": "phase"}, {"step": "other"}):
        with pytest.raises(ValueError, match="unknown; known are step, loss, lr, mine, at"):
            pj.read_log(path, **wrong)


def test_arrays(tmp_path):
    np.save(tmp_path / "one.npy", LOSS)
    assert_read(tmp_path / "one.npy", step=np.arange(N))
    np.save(tmp_path / "two.npy", np.stack([LOSS, LOSS + 1], 1).astype(np.float32))
    assert pj.read_log(tmp_path / "two.npy").losses == ("run 0", "run 1")
    saved(tmp_path, "packed.npy.gz", gzip.compress((tmp_path / "one.npy").read_bytes()))
    assert_read(tmp_path / "packed.npy.gz", step=np.arange(N))


def test_tensorboard_events(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore
    from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore
    from tensorboard.summary.writer.event_file_writer import EventFileWriter  # pyright: ignore

    writer = EventFileWriter(str(tmp_path))
    for step, loss in zip(STEP, LOSS, strict=True):
        for tag, value in (("train/loss", loss), ("eval/loss", loss + 1)):
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(step=int(step), summary=summary))
    writer.close()
    (path,) = tmp_path.iterdir()
    log = assert_read(path, loss=LOSS.astype(np.float32).astype(float))
    assert (log.format, log.losses) == ("TensorBoard events", ("train/loss",))


def test_events_without_tensorboard_name_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing", None)
    path = saved(tmp_path, "events.out.tfevents.1", b"\x18\0\0\0\0\0\0\0....\x09.......\x1a")
    assert cli.main(["classify", str(path)]) == 2
    assert capsys.readouterr().err.endswith("more packages: pip install 'phasejax[logs]'\n")


ROWS = "".join(f"{x}\n" for x in LOSS)
BROKEN = {
    "empty.csv": (b"", "it is empty"),
    "blank.csv": (b"\n\n", "it is not text"),
    "empty.npy": (b"", "it is empty"),
    "empty.gz": (gzip.compress(b""), "it is empty"),
    "half.csv.gz": (gzip.compress(ROWS.encode() * 99)[:90], "end-of-stream"),
    "header.csv": (b"good,bad\n", "it has no numbers"),
    "prose.txt": (b"hello\nyou there\n", "it has no numbers"),
    "binary.csv": (b"\x00\x01\x02" * 99, "it is not text"),
    "ragged.csv": (b"step,loss\n1,2\n3,4,5\n6,7\n", "line 3"),
    "only steps.csv": (b"step,lr\n1,2\n2,3\n", "with a loss: it has step, lr"),
    "short.csv": (b"step,loss\n1,2\n", "at least 16 losses in a run: loss has 1"),
    "broken.json": (b'{"loss": [1, 2', "Expecting"),
    "deep.json": (b"[" * 99999, "nested too deeply"),
    "words.json": (b'{"loss": "low"}', "it has no numbers"),
    "state.json": (b'{"log_history": []}', "it has no numbers"),
    "text.npy": (b"1,2\n", "it does not begin as an NPY file does"),
    "objects.npy": (np.array([{}]), "Object arrays cannot be loaded"),
    "cube.npy": (np.ones((2, 2, 2)), "it has shape (2, 2, 2), not [steps] or [steps, runs]"),
    "number.npy": (np.array(1.0), "it has shape ()"),
    "none.npy": (np.ones((70, 0)), "it has shape (70, 0)"),
    "runs first.npy": (np.ones((3, 70)), "it has shape (3, 70), read as [steps, runs]: save its"),
    "complex.npy": (np.ones(70) + 1j, "it holds complex128, not real numbers"),
    "words.npy": (np.array(["a"]), "it holds <U1, not real numbers"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_one_line(name, tmp_path, capsys):
    content, said = BROKEN[name]
    if isinstance(content, bytes):
        saved(tmp_path, name, content)
    else:
        np.save(tmp_path / name, content, allow_pickle=True)
    assert cli.main(["classify", str(tmp_path / name)]) == 2
    printed, error = capsys.readouterr()
    assert error.startswith(f"error: PATH = '{tmp_path / name}': must be a training log")
    assert said in error
    assert (error.count("\n"), printed) == (1, "")


def test_large_files_are_read_fast(tmp_path):
    """A second of the processor for 10 MB; 100 MB take ten times as long."""
    block = "".join(f"{i},0.5,{2 + i % 97 / 7:.15f},0.00012345,\n" for i in range(1000))
    text = "step,epoch,loss,lr,val_loss\n" + block * 300
    # The first log imports what both need.
    pj.read_log(saved(tmp_path, "small.csv", text[: text.index("999,")]))
    path = saved(tmp_path, "log.csv", text)
    begun = time.process_time()
    log = pj.read_log(path)
    assert time.process_time() - begun < 1
    assert len(log.table) == 300_000


# The command line.


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two logs, a picture and an empty file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/deep").mkdir(parents=True)
    saved(tmp_path, "runs/a.csv", FRAME.to_csv(index=False))
    saved(tmp_path, "runs/deep/state.json", write.hugging_face(rows()))
    saved(tmp_path, "runs/deep/picture.png", b"\x89PNG\r\n\x1a\n\0\0")
    saved(tmp_path, "runs/empty.log", b"")
    return tmp_path


def test_classify_says_what_it_took_and_labels_each_run(folder, capsys):
    assert cli.main(["classify", "runs/a.csv"]) == 0
    said, blank, header, run = capsys.readouterr().out.splitlines()
    assert said == (
        "runs/a.csv: comma-separated table, loss loss over step; others: lr; text: phase"
    )
    assert (blank, header.split()) == ("", "run label last loss certain spikes".split())
    assert run.split() == ["loss", "descending", f"{LOSS[-1]:.4g}", "in", "doubt", "0"]


def test_classify_finds_the_logs_of_a_folder(folder, capsys):
    assert cli.main(["classify", "runs"]) == 0
    printed, warned = capsys.readouterr()
    assert "runs/a.csv: loss " in printed
    assert "runs/deep/state.json: loss " in printed
    assert [line[:30] for line in warned.splitlines()] == [
        "warning: skipped runs/deep/pic",
        "warning: skipped runs/empty.lo",
    ]
    (folder / "nothing").mkdir()
    assert cli.main(["classify", "nothing"]) == 2
    assert "must be a sweep's folder, or one with training logs in it" in capsys.readouterr().err


def test_a_bad_file_among_good_ones_is_an_error_after_their_labels(folder, capsys):
    assert cli.main(["classify", "runs/empty.log", "runs/a.csv"]) == 2
    printed, error = capsys.readouterr()
    assert "descending" in printed
    assert error.startswith("error: PATH = 'runs/empty.log'")


def test_json_has_everything_of_a_run(folder, capsys):
    assert cli.main(["classify", "runs/a.csv", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    about = {"file": "runs/a.csv", "column": "loss", "step": "step", "label": "descending"}
    assert about.items() <= run.items()
    assert {"margin", "spikes", "trend", "scatter", "floor", "floor_estimated", "doubt"} <= set(run)
    assert run["features"]["spike_period"] is None


def test_list_shows_the_columns(folder, capsys):
    assert cli.main(["classify", "runs/a.csv", "--list"]) == 0
    assert "loss loss over step; others: lr" in capsys.readouterr().out
    assert cli.main(["classify", "runs/a.csv", "--list", "--json"]) == 0
    (log,) = json.loads(capsys.readouterr().out)
    assert (log["losses"], log["others"], log["text"]) == (["loss"], ["lr"], ["phase"])


def test_column_may_be_given_again(folder, capsys):
    assert cli.main("classify runs/a.csv --column lr --column loss --step step".split()) == 0
    assert "loss lr, loss over step" in capsys.readouterr().out
    assert cli.main("classify runs/a.csv --column phase".split()) == 2
    assert "--column = 'phase': unknown; known are step, loss, lr" in capsys.readouterr().err


def test_a_short_run_is_left_out_with_a_warning(tmp_path, capsys):
    frame = pd.DataFrame({"step": STEP, "good": LOSS, "short": np.where(STEP < 50, LOSS, np.nan)})
    path = saved(tmp_path, "log.csv", frame.to_csv(index=False))
    assert cli.main(["classify", str(path)]) == 0
    printed, warned = capsys.readouterr()
    assert "\ngood " in printed
    assert "short: left out, it has not at least 16 losses" in warned


def test_spikes_are_listed_and_drawn(tmp_path, capsys):
    loss = 3 + 0.01 * np.sin(np.arange(900.0))
    loss[100::100] = 6
    frame = pd.DataFrame({"iteration": np.arange(900), "loss": loss, "loss ": -loss})
    path = saved(tmp_path, "log.csv", frame.to_csv(index=False))
    picture = tmp_path / "new/p.png"
    assert cli.main(["classify", str(path), "--column", "loss", "--plot", str(picture)]) == 0
    assert "8, at 100, 200, 300, 400, 500, … and 3 more" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert cli.main(["classify", str(path), "--plot", "p.gif"]) == 2
    assert "--plot = 'p.gif': must be a name ending in .png" in capsys.readouterr().err
