"""Independent batches side by side, each on one thread.

To encode, PyTorch may divide each operation of one batch among threads, or each thread may take a batch of
its own. In the second way no thread waits for another, so a busy process beside it takes its share of the
time and no more; and on two idle cores it was 1.2 times as fast as well (docs/log/training-speed.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2  # batches a thread that are given out before their results are taken
_SMALLEST = 2_048  # tokens of a batch that is worth a thread
_ON_A_CPU = 2_048  # tokens of a batch of one thread, whose tensors the caches and the allocator keep
_ON_A_GPU = 16_384


@contextmanager
def using_threads(count: int | None) -> Iterator[None]:
    """Give PyTorch so many threads until the block ends; None leaves their number as it is."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count is not None:
            torch.set_num_threads(before)


def encoding_threads(device: torch.device | str) -> int:
    """How many batches to encode side by side: as many as PyTorch has threads here; one on a GPU."""
    return torch.get_num_threads() if torch.device(device).type == "cpu" else 1


def tokens_for_each(batch_tokens: int | None, threads: int, device: torch.device | str = "cpu") -> int:
    """Tokens of a batch such that those that are encoded side by side have `batch_tokens`, if not tiny.

    None for what is fast: 2,048 for each thread of a CPU. Larger tensors lie outside the caches, and glibc
    returns their memory to the system, so that the next ones cause page faults (docs/log/encoding.md).
    """
    if batch_tokens is None:
        return _ON_A_CPU if torch.device(device).type == "cpu" else _ON_A_GPU
    return max(batch_tokens // threads, min(batch_tokens, _SMALLEST))


def map_in_threads(function: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[R, None, None]:
    """Apply a function to each item, `threads` at a time; the results are in the order of the items.

    Each call runs on one thread, without gradients, and with the caller's autocast of the CPU. Until the
    iterator ends or is closed, PyTorch's number of threads is 1. Items are taken, and results kept, a few
    ahead at most. With `threads=1` everything happens in the calling thread, with PyTorch's number as it is.

    Args:
        function: must be safe to call in several threads at once.
        items: taken in the calling thread.
        threads: at least 1.

    Raises:
        Exception: what a call raised, at its place in the order.
    """
    if threads == 1:
        with torch.no_grad():
            yield from map(function, items)
        return

    # Gradients and autocast are switched on and off for a thread.
    half, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def call(item: T) -> R:
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=half):
            return function(item)

    before, coming = torch.get_num_threads(), deque[Future[R]]()
    # If it is 1 by now, another call, which began after `threads` was read, has set it for its own time.
    before = threads if before == 1 else before
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="encode")
    try:
        for item in items:
            coming.append(pool.submit(call, item))
            if len(coming) >= _AHEAD * threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
