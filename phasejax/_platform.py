"""What operating systems do differently."""

import os
from pathlib import Path


def usable_cores() -> int:
    """Return how many processor cores this process may use."""
    since_3_13 = getattr(os, "process_cpu_count", None)
    linux = getattr(os, "sched_getaffinity", None)
    if since_3_13 is None and linux is not None:
        return len(linux(0))
    return (since_3_13 or os.cpu_count)() or 1


def flush(path: Path) -> None:
    """See to it that a file, or the names in a folder, are on the disk and survive a power cut.

    Windows flushes only files that are open for writing, and opens no folder.
    """
    if path.is_dir() and os.name == "nt":
        return
    opened = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
