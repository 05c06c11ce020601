"""The first Ctrl-C asks a run to stop; the second stops it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Catch the first Ctrl-C, SIGTERM or SIGHUP and tell that it came; the next one acts as ever.

    A terminal that closes may send several SIGHUP, by way of the system and of the shell: all are one.
    """
    came = False
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        for signum, handler in previous.items():
            if signum != signal.SIGHUP:
                signal.signal(signum, handler)

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` wants it
        heard.append(signal.SIGHUP)
    for signum in heard:
        previous[signum] = signal.signal(signum, note)
    try:
        yield lambda: came
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
