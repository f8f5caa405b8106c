"""Write a run in one of the formats that training programs use."""

import csv
import gzip
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """A line of a log."""

    step: int
    loss: float
    rate: float
    norm: float
    other: float
    """nan where it was not measured."""
    total: int
    """Steps of the run."""
    epoch: float
    low: float
    high: float


def short(value: float, digits: int = 5) -> str:
    """A number with few digits, `nan` and `inf` in words."""
    return f"{value:.{digits}g}"


def rounded(value: float) -> float:
    """The same as a number."""
    return float(short(value))


def hugging_face(rows: list[Row]) -> str:
    """`trainer_state.json`, with evaluations and the summary at the end."""
    history: list[dict] = []
    for row in rows:
        about = {"epoch": round(row.epoch, 2), "step": row.step}
        parts = {"grad_norm": float(short(row.norm, 3)), "learning_rate": float(short(row.rate, 3))}
        history.append({"loss": rounded(row.loss)} | parts | about)
        if math.isfinite(row.other):
            history.append({"eval_loss": rounded(row.other)} | about)
    mean = float(np.mean([row.loss for row in rows]))
    history.append({"train_loss": mean, "train_runtime": 61.5} | {"step": rows[-1].step})
    state = {"best_metric": None, "global_step": rows[-1].step, "log_history": history}
    return json.dumps(state, indent=0)


def table(rows: list[list], delimiter: str = ",", quoted: bool = False) -> str:
    """A table with its header in the first row."""
    text, quoting = io.StringIO(), csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows(rows)
    return text.getvalue()


def lightning(rows: list[Row]) -> str:
    """`metrics.csv`: an evaluation has its own row, and what a row does not know is empty."""
    out: list[list] = [["epoch", "step", "train_loss", "val_loss", "lr-Adam"]]
    for row in rows:
        epoch = int(row.epoch)
        out.append(["", row.step, "", "", short(row.rate, 3)])
        out.append([epoch, row.step, short(row.loss), "", ""])
        if math.isfinite(row.other):
            out.append([epoch, row.step, "", short(row.other), ""])
    return table(out)


def keras(rows: list[Row]) -> str:
    """CSVLogger, a row per epoch."""
    last, out = math.nan, [["epoch", "learning_rate", "loss", "val_loss"]]
    for i, row in enumerate(rows):
        last = row.other if math.isfinite(row.other) else last
        out.append([str(i), short(row.rate, 3), short(row.loss), short(last)])
    return table(out)


def tensorboard(rows: list[Row]) -> str:
    """Export of one scalar."""
    first = 1_700_000_000.0
    out = [[f"{first + 0.31 * i:.3f}", r.step, short(r.loss)] for i, r in enumerate(rows)]
    return table([["Wall time", "Step", "Value"], *out])


def wandb(rows: list[Row]) -> str:
    """Export of a panel: each run has three columns."""
    name = "worthy-sun-7 - train/loss"
    out = [[r.step, short(r.loss), short(r.low), short(r.high)] for r in rows]
    return table([["Step", name, f"{name}__MIN", f"{name}__MAX"], *out], quoted=True)


def tabs(rows: list[Row]) -> str:
    """Tab-separated with a header."""
    out = [[r.step, short(r.rate, 3), short(r.norm, 3), short(r.loss)] for r in rows]
    return table([["step", "lr", "grad_norm", "train_loss"], *out], "\t")


def semicolons(rows: list[Row]) -> str:
    """Semicolon-separated with a header."""
    out = [[short(r.epoch, 4), r.step, short(r.loss)] for r in rows]
    return table([["epoch", "iteration", "loss"], *out], ";")


def bare(rows: list[Row]) -> str:
    """Two columns without a header."""
    return "".join(f"{row.step} {short(row.loss)}\n" for row in rows)


def json_lines(rows: list[Row]) -> str:
    """One object per row."""
    lines = []
    for row in rows:
        one = {"step": row.step, "train_loss": rounded(row.loss), "lr": float(short(row.rate, 3))}
        one |= {"val_loss": rounded(row.other)} if math.isfinite(row.other) else {}
        lines.append(json.dumps(one) + "\n")
    return "".join(lines)


def nanogpt(rows: list[Row]) -> str:
    """Standard output of nanoGPT."""
    lines = ["number of parameters: 0.03M\n"]
    for row in rows:
        if math.isfinite(row.other):
            lines.append(f"step {row.step}: train loss {row.loss:.4f}, val loss {row.other:.4f}\n")
        lines.append(f"iter {row.step}: loss {row.loss:.4f}, time 4.10ms, mfu 0.20%\n")
    return "".join(lines)


def modded_nanogpt(rows: list[Row]) -> str:
    """Standard output of modded-nanogpt."""
    lines = []
    for row in rows:
        time = f"train_time:{3 * row.step}ms step_avg:3.00ms"
        if math.isfinite(row.other):
            lines.append(f"step:{row.step}/{row.total} val_loss:{row.other:.4f} {time}\n")
        lines.append(f"step:{row.step}/{row.total} train_loss:{row.loss:.4f} {time}\n")
    return "".join(lines)


def llm_c(rows: list[Row]) -> str:
    """`main.log` of llm.c."""
    lines = []
    for row in rows:
        if math.isfinite(row.other):
            lines.append(f"s:{row.step} tel:{row.other:.4f}\n")
        lines.append(f"s:{row.step} trl:{row.loss:.4f} lr:{row.rate:.6f} norm:{row.norm:.2f}\n")
    return "".join(lines)


def megatron(rows: list[Row]) -> str:
    """Standard output of Megatron-LM, shortened."""
    return "".join(
        f" iteration {row.step:8d}/{row.total:8d} | consumed samples: {32 * row.step:12d} |"
        f" learning rate: {row.rate:.3E} | lm loss: {row.loss:.5E} | loss scale: 1.0 |"
        f" grad norm: {row.norm:.3f} | number of nan iterations: {int(math.isnan(row.loss))} |\n"
        for row in rows
    )


def nanotron(rows: list[Row]) -> str:
    """Standard output of nanotron, shortened."""
    return "".join(
        f"[INFO|DP=0]: iteration: {row.step} / {row.total} | lm_loss: {short(row.loss)}"
        f" | lr: {row.rate:.3g} | grad_norm: {row.norm:.3g}\n"
        for row in rows
    )


def fairseq(rows: list[Row]) -> str:
    """`--log-format json` of fairseq: numbers are strings."""
    lines = []
    for row in rows:
        numbers = {"epoch": int(row.epoch) + 1, "loss": short(row.loss)}
        numbers |= {"num_updates": str(row.step), "lr": short(row.rate, 3)}
        numbers |= {"gnorm": short(row.norm, 3)}
        lines.append(f"2024-05-01 10:00:00 | INFO | train_inner | {json.dumps(numbers)}\n")
        if math.isfinite(row.other):
            valid = {"valid_loss": short(row.other), "valid_num_updates": str(row.step)}
            lines.append(f"2024-05-01 10:00:01 | INFO | valid | {json.dumps(valid)}\n")
    return "".join(lines)


def composer(rows: list[Row]) -> str:
    """Standard output of Composer's ConsoleLogger."""
    return "".join(
        f"[trace][batch={row.step}/{row.total}]:\n"
        f"    Train time/batch: {row.step}\n    Train loss/train/total: {row.loss:.4f}\n"
        if i % 2
        else f"[metric][batch={row.step}]: loss/train/total: {row.loss:.4f}\n"
        for i, row in enumerate(rows)
    )


FORMATS: dict[str, tuple[Callable[[list[Row]], str], str]] = {
    "Hugging Face": (hugging_face, "trainer_state.json"),
    "Lightning": (lightning, "metrics.csv"),
    "Keras": (keras, "history.csv"),
    "TensorBoard": (tensorboard, "tensorboard.csv"),
    "W&B": (wandb, "wandb.csv"),
    "tabs": (tabs, "tsv"),
    "semicolons": (semicolons, "semicolons.csv"),
    "bare": (bare, "txt"),
    "JSON lines": (json_lines, "jsonl"),
    "nanoGPT": (nanogpt, "nanogpt.log"),
    "modded-nanogpt": (modded_nanogpt, "modded.log"),
    "llm.c": (llm_c, "main.log"),
    "Megatron": (megatron, "megatron.log"),
    "nanotron": (nanotron, "nanotron.log"),
    "fairseq": (fairseq, "fairseq.log"),
    "Composer": (composer, "composer.log"),
}


def save(name: str, kind: str, rows: list[Row], folder: Path) -> Path:
    """Write a log, compressed where it is long."""
    write, ending = FORMATS[kind]
    data = write(rows).encode()
    path = folder / f"{name}.{ending}"
    if len(data) > 12_000:
        path, data = path.with_name(path.name + ".gz"), gzip.compress(data, mtime=0)
    path.write_bytes(data)
    return path
