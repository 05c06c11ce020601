"""Signals that end a command: what is half written is removed first, as after Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Ended(KeyboardInterrupt):
    """A signal asks the process to end. Whatever handles Ctrl-C handles it, too.

    Attributes:
        status: the exit status by convention, 128 and the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__("terminated" if number == signal.SIGTERM else "the terminal was closed")
        self.status = 128 + number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise `Ended` inside the block at the first SIGTERM or SIGHUP; the next one ends the process at once.

    A signal that is ignored, as SIGHUP is by `nohup`, or that has a handler already, is left alone. So are
    all where this is not the main thread: Python allows handlers there alone.
    """

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Ended(number)

    ours = []
    if threading.current_thread() is threading.main_thread():
        numbers = (signal.SIGTERM, signal.SIGHUP)
        ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
