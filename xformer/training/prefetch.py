"""Prefetching: the next batch is made while a step computes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

B = TypeVar("B")


class Prefetcher(Generic[B]):
    """Makes the next step's batch in a second thread while a step computes.

    Use it as a context manager, and take batches in the order of steps.

    Attributes:
        waited: seconds that callers have waited for batches, in total.
    """

    def __init__(self, make: Callable[[int, str], B]) -> None:
        """Prepare; no batch is made yet.

        Args:
            make: makes the batch of a step from its number and the name of its stage.
        """
        self._make, self.waited = make, 0.0
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._coming: tuple[tuple[int, str], Future[B]] | None = None

    def __enter__(self) -> Prefetcher[B]:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, step: int, stage: str) -> B:
        """The batch of a step; it is made already if the batch taken before was that of the step before."""
        began, asked = time.monotonic(), (step, stage)
        if self._coming is not None and self._coming[0] == asked:
            batch = self._coming[1].result()
        else:
            batch = self._make(step, stage)
        self._coming = (step + 1, stage), self._pool.submit(self._make, step + 1, stage)
        self.waited += time.monotonic() - began
        return batch
