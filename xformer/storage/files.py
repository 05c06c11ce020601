"""Atomic writes: files that are complete or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the name of the file or folder that is being made into system errors of the block.

    Without this, the error of a full disk has no file name, and other errors have the temporary name. An EIO
    without a name may come from reading any file, and is not changed.

    Args:
        path: the file or folder that is being made.
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
    """Check that the file `path` can be written, before long work for it. Nothing is changed or left behind.

    Missing parent folders are made for the trial inside a temporary folder, which is removed.

    Raises:
        OSError: it cannot be written; the same error as from `atomic_write`. It names `path`.
    """
    target = Path(os.path.abspath(path))
    _refuse_what_is_no_file(target, path)
    there = next(folder for folder in target.parents if os.path.lexists(folder))
    try:
        with ExitStack() as stack:
            folder = there
            if there != target.parent:
                scratch = tempfile.TemporaryDirectory(prefix=f".{target.name[:8]}.", dir=there)
                folder = Path(stack.enter_context(scratch), target.parent.relative_to(there))
                folder.mkdir(parents=True)
            # Not `TemporaryFile`: where that makes a file without a name, no name is too long.
            with tempfile.NamedTemporaryFile(buffering=0, prefix=f".{target.name}.", dir=folder) as file:
                file.write(b"x")
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _refuse_what_is_no_file(target: Path, path: str | os.PathLike[str]) -> None:
    """Raise an OSError where a folder or a device stands: a renamed file would take the device's place."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if (target.exists() and not target.is_file()) or _leads_to_a_stream(target):
        raise FileExistsError(errno.EEXIST, "not a file but a device or a pipe", os.fspath(path))


def _leads_to_a_stream(target: Path) -> bool:
    """Whether a path is a link to what a process has open, as `/dev/stdout` is.

    It looks like a file where standard output goes to one. The file would take the place of the link.
    """
    seen: set[Path] = set()
    while target.is_symlink() and target not in seen:
        seen.add(target)
        target = Path(os.path.abspath(target.parent / target.readlink()))
        if target.is_relative_to("/proc") or target.is_relative_to("/dev"):
            return True
    return False


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open `path` for an atomic write: the new file is complete or absent.

    The bytes go to a temporary file in the same folder. On success it is flushed to the disk and renamed to
    `path`, and the folder is flushed. On an error it is removed, and `path` is not changed.

    Args:
        path: the file to write; a missing folder is made.
        mode: `"w"` for UTF-8 text with `\n` line ends, `"wb"` for bytes.

    Yields:
        The open file.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode: expected 'w' or 'wb', got {mode!r}")
    target = Path(path)
    _refuse_what_is_no_file(target, path)
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
            # Without this, a power cut could undo the renaming. If the folder cannot be opened or flushed,
            # the file is in place nevertheless.
            with suppress(OSError):
                flush_to_disk(target.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_files(contents: Iterable[tuple[Path, bytes | None]]) -> list[Path]:
    """Write files, each whole or not at all, as their contents are made.

    Args:
        contents: files with their bytes; those with None are not written.

    Returns:
        The files that were written.

    Raises:
        OSError: one cannot be written; those before it stay.
    """
    written = []
    for path, content in contents:
        if content is not None:
            with atomic_write(path, "wb") as file:
                file.write(content)
            written.append(path)
    return written


def flush_to_disk(path: Path) -> None:
    """Flush the bytes of a file, or the names of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file, in bounded memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
