"""Batches that are made while the step before them computes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

B = TypeVar("B")


class BatchesAhead(Generic[B]):
    """Makes the next step's batch in a second thread while this step computes.

    Use it as a context manager, and ask for one step after the other.

    Attributes:
        waited: seconds that callers have waited for batches, in total.
    """

    def __init__(self, make: Callable[[int, str], B]) -> None:
        """Prepare; nothing is made yet.

        Args:
            make: makes the batch of a step from its number and the name of its stage.
        """
        self._make, self.waited = make, 0.0
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._coming: tuple[tuple[int, str], Future[B]] | None = None

    def __enter__(self) -> BatchesAhead[B]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, step: int, stage: str) -> B:
        """The batch of a step; made already, if the last one taken was of the step before."""
        began, asked = time.monotonic(), (step, stage)
        if self._coming is not None and self._coming[0] == asked:
            batch = self._coming[1].result()
        else:
            batch = self._make(step, stage)
        self._coming = (step + 1, stage), self._pool.submit(self._make, step + 1, stage)
        self.waited += time.monotonic() - began
        return batch
