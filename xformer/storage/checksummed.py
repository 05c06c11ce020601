"""Folders that are complete or absent, and JSON files with a checksum of their own content.

A data folder (a corpus, a set of token shards) is a few large files and one small JSON file, which lists them
with their sizes and hashes. The JSON file has one canonical form and carries the hash of its own content. So
a change of any byte, in it or in a file that it lists, is found when the folder is opened.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from xformer.errors import InputError
from xformer.storage.files import atomic_write, flush_to_disk, naming, sha256_of
from xformer.storage.structure import structure

T = TypeVar("T")

_SCRATCH = ".partial"
"""The end of the names of temporary folders."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a folder, as the checksummed JSON lists it.

    Attributes:
        name: the file's name inside the folder.
        size: its size, in bytes.
        sha256: its SHA-256, hexadecimal.
    """

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileEntry:
        """Describe a file that exists."""
        return cls(path.name, path.stat().st_size, sha256_of(path))

    def verify(self, folder: Path, content: bool = True) -> Path:
        """Compare the file in `folder` with this entry.

        Args:
            folder: where the file lies.
            content: compare the hash too, which reads the whole file; otherwise the size only.

        Returns:
            The file's path.

        Raises:
            InputError: it is missing, or its size or hash differs; the message gives both values.
        """
        path = folder / self.name
        if not path.is_file():
            raise InputError(f"{path}: missing; expected a file of {self.size:,} bytes")
        size = path.stat().st_size
        if size != self.size:
            raise InputError(f"{path}: expected {self.size:,} bytes, found {size:,}")
        if content and (actual := sha256_of(path)) != self.sha256:
            raise InputError(f"{path}: damaged; expected sha256 {self.sha256}, found {actual}")
        return path


def verify_files(
    folder: Path, files: Sequence[FileEntry], rank: int = 0, world: int = 1, content: bool = True
) -> None:
    """Compare the sizes of all files of a folder with their entries, and the hashes of this process's share.

    The shares of all processes together are all files. They take about as long each: files are dealt out in
    turn, the largest first.

    Args:
        folder: where the files lie.
        files: their entries.
        rank: this process's number.
        world: number of processes.
        content: whether hashes are compared at all.

    Raises:
        InputError: as `FileEntry.verify`.
    """
    for number, file in enumerate(sorted(files, key=lambda file: file.size, reverse=True)):
        file.verify(folder, content and number % world == rank)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a folder that is complete or absent.

    Args:
        path: the folder to make; it must not exist, or must be empty.

    Yields:
        A temporary folder beside `path`, to fill. It is renamed to `path` when the block ends, and removed
        when the block raises. A process that is killed leaves it behind; the next call for `path` removes it.

    Raises:
        InputError: `path` exists and is not an empty folder.
        OSError: it cannot be written; the error names `path`, or the file in it.
    """
    target = Path(path)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target}: already exists; expected a new or an empty folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    with naming(path):
        scratch, lock = _scratch(target)
        try:
            yield scratch
            for file in scratch.iterdir():
                flush_to_disk(file)
            flush_to_disk(scratch)
            scratch.chmod(0o755)
            try:
                os.rename(scratch, target)
            except OSError as error:
                reason = f"cannot be put in place ({error}); did another process make it meanwhile?"
                raise InputError(f"{target}: {reason}") from error
            flush_to_disk(target.parent)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        finally:
            os.close(lock)


@contextmanager
def scratch_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a temporary folder beside `path`, for what is put in its place file by file.

    Args:
        path: names the folder; need not exist.

    Yields:
        An empty folder, removed when the block ends. A process that is killed leaves it behind; the next call
        for `path` removes it.

    Raises:
        OSError: it cannot be written; the error names `path`, or the file in it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    with naming(path):
        scratch, lock = _scratch(target)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            os.close(lock)


def _scratch(target: Path) -> tuple[Path, int]:
    """A new folder beside `target`, and a lock on it, which the system releases when this process ends."""
    while True:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_SCRATCH, dir=target.parent))
        lock = os.open(scratch, os.O_RDONLY)
        # Some network file systems cannot lock folders. There, abandoned folders are not removed either.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if scratch.is_dir():
            return scratch, lock
        os.close(lock)  # another process removed it as abandoned before it was locked


def _remove_abandoned(target: Path) -> None:
    """Remove temporary folders for `target` that no running process has locked."""
    for folder in target.parent.glob(f".{glob.escape(target.name)}.*{_SCRATCH}"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)


def write_checksummed(path: Path, value: Any) -> None:
    """Write a dataclass as checksummed JSON, atomically; the field `seal` is the SHA-256 of the rest."""
    content = asdict(value)
    with atomic_write(path, "wb") as file:
        file.write(_canonical(content | {"seal": hashlib.sha256(_canonical(content)).hexdigest()}))


def read_checksummed(
    path: Path, kind: type[T], upgrade: Callable[[dict[str, Any]], dict[str, Any]] = lambda content: content
) -> T:
    """Read what `write_checksummed` wrote.

    Args:
        path: the file.
        kind: the dataclass to build; the file must have exactly its fields.
        upgrade: converts the fields that an older version wrote to those of `kind`.

    Raises:
        InputError: the file is missing, is not JSON, has other fields than `kind`, or a byte was changed.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing; expected the file that lists the files of this folder")
    raw = path.read_bytes()
    try:
        content = json.loads(raw.decode("utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON in UTF-8 ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("seal"), str):
        raise InputError(f"{path}: expected a JSON object with the field 'seal'")
    seal = content.pop("seal")
    actual = hashlib.sha256(_canonical(content)).hexdigest()
    if actual != seal or _canonical(content | {"seal": seal}) != raw:
        raise InputError(
            f"{path}: changed since it was written; expected checksum {seal}, its content gives {actual}"
        )
    try:
        return structure(upgrade(content), kind)
    except ValueError as error:
        raise InputError(f"{path}: expected the fields that this version writes: {error}") from error


def _canonical(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()
