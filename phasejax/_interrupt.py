"""Ctrl-C and SIGTERM on the command line: one line, exit code 1, and nothing half-written.

It imports little, so that a signal is heard from the start of a process on.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LINE = "error: interrupted"


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Listen for a while, and then put back what was there, unless that was this already."""
    here = threading.current_thread() is threading.main_thread()  # which alone gets signals
    if not here or signal.getsignal(signal.SIGTERM) is _raise:
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    hook = sys.unraisablehook
    listen()
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def listen() -> None:
    """Let both signals raise a `KeyboardInterrupt`; a second one ends the process at once.

    A signal that is ignored, as under `nohup`, stays ignored.
    """
    sys.unraisablehook = _not_raised
    _answer(_raise)


def ignore() -> None:
    """Let both signals do nothing: all is said, what is left is to exit."""
    _answer(signal.SIG_IGN)


def _answer(handler: Any) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _raise(*_: object) -> None:
    _answer(signal.SIG_DFL)
    raise KeyboardInterrupt


def _not_raised(unraisable: "sys.UnraisableHookArgs") -> None:
    """End the process where an interrupt came in a destructor, from which nothing is raised."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    print(LINE, file=sys.stderr, flush=True)
    os._exit(1)  # a store is whole whenever its process is killed
