"""A file lock, so that one process at a time trains a run."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xformer.errors import InputError


@contextmanager
def only_one(path: Path, what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock while the block runs. The system releases it when the process ends, even by a kill.

    Args:
        path: the lock's file; its folder is made if it is missing. It contains the number of the process that
            holds the lock, and is removed at the end. A file that a killed process left is not locked.
        what: what is locked, for messages.
        say: prints a warning if the file system has no locks; the block then runs without.

    Raises:
        InputError: another process holds the lock; its number is given. Or the folder is not writable.
    """
    descriptor = _take(path, what, say)
    try:
        with suppress(OSError):  # on a full disk the number is missing; later writes report the error
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        # Before the lock is released: else the file of the next holder could be removed.
        if _is_at(path, descriptor):  # not if the folder was moved
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(path: Path, what: str, say: Callable[[str], None]) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; expected a folder that can be written to") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise InputError(f"{what}: {holder} is using it; wait until it ends, or stop it") from error
        except OSError as error:
            advice = "make sure that no other process trains this run"
            say(f"{path}: cannot be locked here ({error.strerror}); {advice}")
            return descriptor
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is still at `path`: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
