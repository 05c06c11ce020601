"""Settings of the C library's memory allocator for training."""

from __future__ import annotations

import ctypes
import platform
from contextlib import suppress

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of glibc's `mallopt` options (malloc.h)."""


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory of large tensors for the next ones.

    By default glibc returns the memory of each tensor of more than 32 MiB to the system, and the next such
    tensor causes a page fault for each page. A dense gradient of an embedding is such a tensor. With this
    setting, the process keeps the most memory that it ever needed, which in training each step needs.

    Returns:
        Whether the C library has these settings.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    most = 2**31 - 1
    return all(
        mallopt(option, value) == 1
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, most), (_TOP_PAD, 64 << 20))
    )


def trim_memory() -> None:
    """Return freed memory to the system, with glibc; called now and then.

    Steps have many sizes, and freed memory between blocks in use stays with the process: it grew by a GiB in
    175 steps of a small model.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
