"""Ctrl-C and SIGTERM on the command line: one line, exit code 1, and no half-written file.

It imports only small modules, so that signals are handled from the start of a process.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that interrupt a command."""
LINE = "error: interrupted"
"""What is printed before there is anything to resume."""
_came = False


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Handle both signals inside a `with` block, then restore the earlier handlers.

    Does nothing if `listen` was called before, and outside the main thread, which alone receives
    signals.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is _raise:
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
    """Make both signals raise a `KeyboardInterrupt`; a second signal ends the process at once.

    A signal that is ignored, as under `nohup`, stays ignored.
    """
    global _came
    _came = False
    sys.unraisablehook = _not_raised
    _handle(_raise)


def interrupted() -> bool:
    """Say whether one of the signals came while they were handled."""
    return _came


def ignore() -> None:
    """Ignore both signals: the command has finished and only has to exit."""
    _handle(signal.SIG_IGN)


def _handle(handler: Any) -> None:
    """Set the handler of both signals, except where a signal is ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _raise(*_: object) -> None:
    global _came
    _came = True
    _handle(signal.SIG_DFL)
    raise KeyboardInterrupt


def _not_raised(unraisable: "sys.UnraisableHookArgs") -> None:
    """End the process if the interrupt came in a destructor, which cannot raise an exception."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    print(LINE, file=sys.stderr, flush=True)
    os._exit(1)  # safe: a store is consistent whenever its process is killed
