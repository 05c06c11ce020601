"""Memory that training gives back and asks for again, thousands of times a minute."""

from __future__ import annotations

import ctypes
import platform
from contextlib import suppress

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Numbers of glibc's `mallopt` options (malloc.h)."""


def keep_freed_memory() -> bool:
    """Have the C library keep what large tensors give back, for the next ones.

    By default glibc returns each tensor of more than 32 MiB to the system, which hands it out again a page
    and a page fault at a time, zeroed: a dense gradient of a vocabulary's embedding is such a tensor. The
    process then holds on to the most it ever needed, which in training is what every step needs.

    Returns:
        Whether the C library is one that can be asked.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    most = 2**31 - 1
    return all(
        mallopt(option, value) == 1
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, most), (_TOP_PAD, 64 << 20))
    )


def give_back_memory() -> None:
    """Return to the system what the C library keeps of freed memory, where it can (glibc): now and then.

    Steps are of many sizes, and what is freed between blocks that are in use stays with the process: it grew
    by a GiB in 175 steps of a small model.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
