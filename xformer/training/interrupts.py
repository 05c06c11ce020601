"""Handling of Ctrl-C: the first asks a run to stop and save, the second ends it at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Catch the first Ctrl-C, SIGTERM or SIGHUP; the next one has its usual effect.

    A terminal that closes may send SIGHUP several times: all are caught.

    Yields:
        A function that returns whether a signal was caught.
    """
    caught = False
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal caught
        caught = True
        for signum, handler in previous.items():
            if signum != signal.SIGHUP:
                signal.signal(signum, handler)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # `nohup` ignores it
        numbers.append(signal.SIGHUP)
    for signum in numbers:
        previous[signum] = signal.signal(signum, note)
    try:
        yield lambda: caught
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
