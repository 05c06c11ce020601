"""The files that a Debian package (`.deb`) installs: a tar archive in an ar archive. Format: deb(5)."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from xformer.errors import InputError

_MAGIC, _HEADER = b"!<arch>\n", 60


def copy_deb_files(path: Path, wanted: Callable[[str], bool], store: IO[bytes]) -> dict[str, tuple[int, int]]:
    """Copy the wanted files of a package one after the other: what it compresses has no order but its own.

    Wrap the call in `input_errors(path)`.

    Args:
        path: the `.deb`.
        wanted: whether a file is wanted, by its path without `./` before it: `usr/share/games/x`.
        store: where to write them.

    Returns:
        The place and the size of each in `store`. The last of two with one name counts, as for tar itself.

    Raises:
        InputError: it is no Debian package, is truncated, or is compressed by what this Python cannot read.
    """
    places: dict[str, tuple[int, int]] = {}
    with _open_data(path) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if member.isfile() and wanted(name) and (content := tar.extractfile(member)) is not None:
                places[name] = store.tell(), member.size
                shutil.copyfileobj(content, store)
    return places


@contextmanager
def _open_data(path: Path) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise InputError(f"{path}: expected a Debian package, this is no ar archive")
        while header := file.read(_HEADER):
            name = header[:16].decode("ascii", "replace").strip().rstrip("/")
            if len(header) < _HEADER or not header[48:58].strip().isdigit():
                raise InputError(f"{path}: the Debian package is damaged or truncated")
            size = int(header[48:58])
            if name.startswith("data.tar"):
                if name.endswith(".zst") and sys.version_info < (3, 14):
                    raise InputError(
                        f"{path}: is compressed by zstd, which Python reads from 3.14 on; "
                        "unpack it with dpkg-deb --extract"
                    )
                with tarfile.open(fileobj=io.BufferedReader(_Part(file, size)), mode="r|*") as tar:
                    yield tar
                return
            file.seek(size + size % 2, 1)
    raise InputError(f"{path}: the Debian package has no data.tar")


class _Part(io.RawIOBase):
    """A part of a file, read once from where it stands."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__()
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(min(self._left, len(buffer)))
        buffer[: len(content)] = content
        self._left -= len(content)
        return len(content)
