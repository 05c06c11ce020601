"""One process at a time trains a run."""

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
    """Hold a lock while the block runs. The system lets go of it when the process ends, however it ends.

    Args:
        path: the lock's file; its folder is made if it is missing. It says who holds the lock, and is removed
            at the end. One that a killed process left locks nothing.
        what: what is locked, for messages.
        say: told where the file system knows no locks: the block then runs without.

    Raises:
        InputError: another process holds it; which one is named. Or the folder cannot be written to.
    """
    descriptor = _take(path, what, say)
    try:
        with suppress(OSError):  # a full disk has no room for a name, and is found out by what needs room
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        # Before the lock is let go: whoever took it in between would lose its file.
        if _lies_at(path, descriptor):  # and not in a folder that was moved
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
            raise InputError(f"{what}: {holder} is at work on it; wait for it, or stop it first") from error
        except OSError as error:
            say(
                f"{path}: cannot be locked here ({error.strerror}); see that no other process trains this run"
            )
            return descriptor
        if _lies_at(path, descriptor):
            return descriptor
        os.close(descriptor)


def _lies_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is still there: its last holder may have removed it after it was opened here."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
