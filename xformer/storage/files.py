"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give what the system raises in the block the name of the file or folder that is being made.

    A full disk names no file, and a temporary name, a `.` before the real one and letters after it, says
    little. What failed to be read (EIO, without a name) may be any file, and is left as it is.

    Args:
        path: what is being made.
    """
    target = Path(os.path.abspath(path))
    try:
        yield
    except OSError as error:
        if error.errno is None or isinstance(error, BrokenPipeError):
            raise
        failed = error.filename if error.filename2 is None else error.filename2
        if isinstance(failed, str | bytes):
            found = Path(os.path.abspath(os.fsdecode(failed)))
            if found.is_relative_to(target.parent) and found != target.parent:
                first, *rest = found.relative_to(target.parent).parts
                if first.startswith(f".{target.name}."):
                    error.filename, error.filename2 = str(Path(path, *rest)), None
        elif error.errno != errno.EIO:
            error.filename = os.fspath(path)
        raise


def try_to_write(path: str | os.PathLike[str]) -> None:
    """Find out whether `path` could be written, before work is done for it; it is left as it is.

    Raises:
        OSError: it could not, as `atomic_write` would say.
    """
    with naming(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=f".{Path(path).name}.", dir=Path(path).parent) as file:
            file.write(b"x")


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open `path` for writing such that it appears whole or not at all.

    The bytes go to a temporary name in the same folder; on success they are flushed to the disk, renamed over
    `path`, and the new name is flushed, too; on any error they are removed and `path` is left as it was.

    Args:
        path: the file to write; its folder is made if it is missing.
        mode: `"w"` for UTF-8 text with `\n` line ends, `"wb"` for bytes.

    Yields:
        The open file.

    Raises:
        OSError: the system does not take it; the error names `path`.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode: expected 'w' or 'wb', got {mode!r}")
    target = Path(path)
    with naming(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
            with os.fdopen(descriptor, mode, **text) as file:  # type: ignore[call-overload]
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, target)
            # A power cut would take the new name back. Where a folder cannot be opened, or a file system
            # knows no such thing, the file is in place all the same.
            with suppress(OSError):
                flush_to_disk(target.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def flush_to_disk(path: Path) -> None:
    """Return once a file's bytes, or a folder's names, are safe from a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
