"""Progress reports while records are streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

ProgressCallback = Callable[[str, int, int | None], None]
"""Called with the name of the work, the units done, and the units in all (None: unknown)."""

T = TypeVar("T")


def reported(
    items: Iterable[T], stage: str, total: int | None, progress: ProgressCallback | None
) -> Iterator[T]:
    """Yield the items, and report progress before each thousandth one."""
    for done, item in enumerate(items):
        if progress and done % 1000 == 0:
            progress(stage, done, total)
        yield item
