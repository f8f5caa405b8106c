"""Differences between operating systems."""

import os
from pathlib import Path


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    since_3_13 = getattr(os, "process_cpu_count", None)
    linux = getattr(os, "sched_getaffinity", None)
    if since_3_13 is None and linux is not None:
        return len(linux(0))
    return (since_3_13 or os.cpu_count)() or 1


def flush(path: Path) -> None:
    """Write a file, or the list of names in a folder, to the disk, so that it survives a power cut.

    Windows flushes only files that are open for writing, and cannot open a folder.
    """
    if path.is_dir() and os.name == "nt":
        return
    opened = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
