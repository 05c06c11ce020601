"""One thread beside the main one, for what needs no Python: compressing and writing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_WAITING = 2


class Background:
    """Calls functions in their order, in a thread beside the main one. Few wait: memory stays bounded.

    What a call raises is raised by a later one, or at the end of the block.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[Future[object]] = deque()

    def __enter__(self) -> Background:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            self._finish(0)

    def __call__(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function with these arguments, later."""
        self._finish(_WAITING - 1)
        self._waiting.append(self._thread.submit(function, *arguments))

    def _finish(self, left: int) -> None:
        while len(self._waiting) > left:
            self._waiting.popleft().result()
