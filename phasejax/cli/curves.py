"""Files of loss curves: CSV and NPY."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from .._check import bad, is_number

Columns = Shaped[np.ndarray, "steps runs"]


def read(path: Path) -> dict[str, Shaped[np.ndarray, " steps"]]:
    """Read loss curves `[steps]` by name, one per column of the file.

    Raises a `ValueError` that says what is wrong with the file. An NPY file that needs unpickling
    is refused, because a pickle can run code.
    """
    if not path.exists():
        raise bad("path", str(path), "a sweep's folder or a file; there is nothing at this path")
    try:
        names, values = _npy(path) if path.suffix.lower() == ".npy" else _csv(path)
    except UnicodeDecodeError as error:
        allowed = f"a table of numbers, one run per column: it is not UTF-8 text ({error.reason})"
        raise bad("path", str(path), allowed) from error
    except Exception as error:  # a damaged file may raise anything
        allowed = f"a table of numbers, one run per column: {error}"
        raise bad("path", str(path), allowed) from error
    return dict(zip(names, values.T, strict=True))


def _npy(path: Path) -> tuple[list[str], Columns]:
    """Read an array `[steps]` or `[steps, runs]`."""
    values = np.load(path, allow_pickle=False)
    if not isinstance(values, np.ndarray) or values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"it has shape {np.shape(values)}, not [steps] or [steps, runs]")
    if values.dtype.kind not in "iuf":
        raise ValueError(f"it holds {values.dtype}, not real numbers")
    values = values.reshape(len(values), -1)
    return _numbered(values.shape[1]), values


def _csv(path: Path) -> tuple[list[str], Columns]:
    """Read columns with or without names in the first line; `#` begins a comment."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    if not lines:
        raise ValueError("it is empty")
    header = [field.strip() for field in lines[0].lstrip("#").split(",")]
    named = not all(map(is_number, header))
    names = header if named else _numbered(len(header))
    if len(set(names)) < len(names):
        raise ValueError(f"line 1 names two columns alike: {', '.join(names)}")
    rows = [
        _numbers(number, content.split(","), len(names))
        for number, line in enumerate(lines[named:], start=1 + named)
        if (content := line.partition("#")[0].strip())
    ]
    if not rows:
        raise ValueError("it has no rows of numbers")
    return names, np.array(rows)


def _numbers(line: int, fields: list[str], columns: int) -> list[float]:
    """Read one row."""
    if len(fields) != columns:
        raise ValueError(f"line {line} has {len(fields)} columns, line 1 has {columns}")
    for field in fields:
        if not is_number(field):
            raise ValueError(f"line {line}: {field.strip()!r} is not a number")
    return [float(field) for field in fields]


def _numbered(columns: int) -> list[str]:
    """Names of columns that have none."""
    return [f"run {i}" for i in range(columns)]
