"""A file that is on its way: `NAME.part` with its bytes, and `NAME.part.json` with what they are of.

One process at a time holds it, by a lock that the system takes away from a process that ends. The bytes go
straight to the file, so that a process may be killed at any time; the next one finds where to go on.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path

from xformer.storage.files import atomic_write, flush_to_disk, naming


@dataclass(frozen=True)
class Origin:
    """A file as a server describes it.

    Attributes:
        url: its address.
        etag: its `ETag`; None if there is none.
        modified: its `Last-Modified`, as it was sent.
        size: its bytes; None if unknown.
        md5: its MD5 in base64, if the server says it.
        sha256: its SHA-256 in base64, if the server says it.
    """

    url: str
    etag: str | None = None
    modified: str | None = None
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, url: str, headers: Message, *, size: int | None) -> Origin:
        """Read the headers of a response with the whole file.

        Of a piece, `Content-MD5` is the piece's; the digests of RFC 9530 and RFC 3230 are the file's.

        Args:
            url: that was asked for, before redirections.
            headers: of the response.
            size: bytes of the whole file; None if unknown.
        """
        return cls(
            url,
            etag=headers.get("ETag"),
            modified=headers.get("Last-Modified"),
            size=size,
            md5=headers.get("Content-MD5"),
            sha256=_sha256(headers),
        )

    @property
    def validator(self) -> str | None:
        """What `If-Range` may have: a strong ETag, else the date. A weak ETag promises no equal bytes."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.modified

    def same_file(self, other: Origin) -> bool:
        """Whether nothing tells the two apart, and something says that they are the same."""
        pairs = [
            (mine, its)
            for mine, its in ((self.etag, other.etag), (self.modified, other.modified))
            if mine and its
        ]
        sizes = self.size is None or other.size is None or self.size == other.size
        return self.url == other.url and sizes and bool(pairs) and all(mine == its for mine, its in pairs)


class Part:
    """The bytes that are here of a file. Made by `open_part`.

    Attributes:
        path: `NAME.part`.
        size: its bytes.
        origin: what they are of; None without bytes.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self.origin = _read_origin(_state(path)) if self.size else None
        if self.size and self.origin is None:
            self.begin(None)

    def begin(self, origin: Origin | None) -> None:
        """Throw the bytes away, and note what the next ones are of."""
        with naming(self.path):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.size = 0
        self.note(origin)

    def note(self, origin: Origin | None) -> None:
        """Change what the bytes are of."""
        self.origin = origin
        if origin is None:
            _state(self.path).unlink(missing_ok=True)
            return
        with atomic_write(_state(self.path)) as file:
            json.dump(asdict(origin), file)

    def append(self, content: bytes) -> None:
        """Write bytes at the end.

        Raises:
            OSError: the disk is full; the error names the part. What is written stays.
        """
        with naming(self.path):
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
            view = memoryview(content)
            while view:
                written = os.write(self._descriptor, view)
                self.size += written
                view = view[written:]

    def finish(self, target: Path) -> None:
        """Give the file its name, and remove the state."""
        with naming(target):
            os.fsync(self._descriptor)
            os.fchmod(self._descriptor, 0o644)
            os.replace(self.path, target)
        _state(self.path).unlink(missing_ok=True)
        with suppress(OSError):  # the folder cannot be flushed; the file is in place nevertheless
            flush_to_disk(target.parent)


@contextmanager
def open_part(target: Path, say: Callable[[str], None]) -> Iterator[Part]:
    """Hold the part of `target`; wait while another process does.

    At the end a part without bytes is removed; one with bytes stays for the next try.
    """
    path = target.with_name(f"{target.name}.part")
    with naming(path):
        descriptor = _locked(path, say)
    try:
        part = Part(path, descriptor)
        try:
            yield part
        finally:
            # Under its name it may be another file already, which is not ours to remove.
            if part.size == 0 and _is(path, descriptor):
                path.unlink(missing_ok=True)
                _state(path).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _locked(path: Path, say: Callable[[str], None]) -> int:
    """Open and lock the file of this name; another process may rename or remove it until we have the lock."""
    waits = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                if not waits:
                    say(f"{path.name}: another process is fetching it; waiting")
                    waits = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    """Whether a name is that of an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _state(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read_origin(path: Path) -> Origin | None:
    """The noted origin; None if there is none, or one that another version wrote."""
    try:
        return Origin(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _sha256(headers: Message) -> str | None:
    """The SHA-256 in base64, from `Repr-Digest: sha-256=:…:` or the older `Digest: SHA-256=…`."""
    for name in ("Repr-Digest", "Digest"):
        for item in str(headers.get(name, "")).split(","):
            algorithm, _, value = item.strip().partition("=")
            if algorithm.lower() == "sha-256" and value:
                return value.strip(":")
    return None
