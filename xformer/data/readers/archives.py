"""Files inside folders, zips and wheels, tar archives and Debian packages, read where they lie."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from xformer.data.readers.lines import FilePath, input_errors, open_zip
from xformer.errors import InputError

_ZIPS = (".zip", ".whl")
_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60


@dataclass(frozen=True)
class Members:
    """The wanted files of an archive or a folder, open for reading in any order.

    Attributes:
        label: the name of the archive or folder, without its parents.
        names: the files' names in it, sorted, with `/` and without `./` before them.
    """

    label: str
    names: tuple[str, ...]
    _read: Callable[[str], bytes]
    _path: str

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            InputError: it is damaged, or may not be read.
        """
        with input_errors(f"{self._path}:{name}"):
            return self._read(name)


def is_archive(path: FilePath) -> bool:
    """Whether the name is one of a zip, a wheel, a tar archive or a Debian package."""
    return str(path).endswith((*_ZIPS, *_TARS, ".deb"))


@contextmanager
def open_members(path: FilePath, wanted: Callable[[str], bool]) -> Iterator[Members]:
    """Open the files that are `wanted` by their names, of an archive or a folder.

    A tar archive can only be read from its beginning. So its wanted files are copied into one temporary file
    without a name, which is gone after use.

    Args:
        path: a folder, or an archive (see `is_archive`).
        wanted: whether a file is wanted, by its name inside.

    Raises:
        InputError: the archive is missing, damaged, encrypted or of another kind.
    """
    path = Path(path)
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.is_file())
        names = (file.relative_to(path).as_posix() for file in inside)
        chosen = tuple(sorted(name for name in names if wanted(name)))
        yield Members(path.name, chosen, lambda name: (path / name).read_bytes(), str(path))
    elif path.name.endswith(_ZIPS):
        with open_zip(path) as archive:
            given = (name for name in archive.namelist() if not name.endswith("/") and wanted(name))
            yield Members(path.name, tuple(sorted(set(given))), archive.read, str(path))
    elif path.name.endswith((*_TARS, ".deb")):
        with tempfile.TemporaryFile() as store:
            with input_errors(path):
                if path.suffix == ".deb":
                    places = _copy_of_deb(path, wanted, store)
                else:
                    with tarfile.open(path) as tar:
                        places = _copy(tar, wanted, store)
            yield Members(path.name, tuple(sorted(places)), _reader(store, places), str(path))
    else:
        expected = ", ".join((*_ZIPS, *_TARS, ".deb"))
        raise InputError(f"{path}: expected a folder or an archive ({expected})")


def _copy(
    tar: tarfile.TarFile, wanted: Callable[[str], bool], store: IO[bytes]
) -> dict[str, tuple[int, int]]:
    """Copy the wanted files; the place and the size of each. The last of a name counts, as for tar itself."""
    places: dict[str, tuple[int, int]] = {}
    for member in tar:
        name = member.name.removeprefix("./")
        if member.isfile() and wanted(name) and (content := tar.extractfile(member)) is not None:
            places[name] = store.tell(), member.size
            shutil.copyfileobj(content, store)
    return places


def _reader(store: IO[bytes], places: dict[str, tuple[int, int]]) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        start, size = places[name]
        store.seek(start)
        return store.read(size)

    return read


def _copy_of_deb(path: Path, wanted: Callable[[str], bool], store: IO[bytes]) -> dict[str, tuple[int, int]]:
    """The same of the files that a Debian package installs: an `ar` archive holds their tar archive."""
    with path.open("rb") as file:
        if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise InputError(f"{path}: expected a Debian package, this is no ar archive")
        while header := file.read(_AR_HEADER):
            name = header[:16].decode("ascii", "replace").strip().rstrip("/")
            if len(header) < _AR_HEADER or not header[48:58].strip().isdigit():
                raise InputError(f"{path}: the Debian package is damaged or truncated")
            size = int(header[48:58])
            if name.startswith("data.tar"):
                if name.endswith(".zst") and sys.version_info < (3, 14):
                    raise InputError(
                        f"{path}: is compressed by zstd, which Python reads from 3.14 on; "
                        "unpack it with dpkg-deb --extract"
                    )
                with tarfile.open(fileobj=io.BufferedReader(_Part(file, size)), mode="r|*") as tar:
                    return _copy(tar, wanted, store)
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
