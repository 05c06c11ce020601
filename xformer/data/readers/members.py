"""The files that one path holds: a file itself, or those in a folder, a zip, a tar or a Debian package."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.deb_file import copy_deb_files
from xformer.data.readers.lines import FilePath, input_errors, open_bytes, open_zip
from xformer.errors import InputError

_ZIPS = (".zip", ".whl")
_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
# A larger file is an attack or a mistake: stop before it fills the memory.
LARGEST = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """One file.

    Attributes:
        name: for error messages, such as `a.tgz:package/main/de/units.json`.
        label: for records; it begins with the name of the path's `Source` in the manifest.
        path: where it lies in its folder or archive; of a file, all of its path.
        is_given: whether the user named it, and not a folder or an archive that holds it.
        data: its bytes, see `read`.
    """

    name: str
    label: str
    path: str
    is_given: bool
    data: Callable[[], bytes]

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            InputError: it cannot be read, or is larger than `LARGEST`.
        """
        with input_errors(self.name):
            return self.data()

    def refuse(self, error: InputError, notes: ImportNotes) -> None:
        """Note that the file is left out as a whole, and why; one that the user named must be readable.

        Raises:
            InputError: `error`, if the user named it.
        """
        if self.is_given:
            raise error
        notes.not_read[self.label] = str(error).removeprefix(self.name).lstrip(": ")


def check_any_read(notes: ImportNotes, read: int, kind: str) -> None:
    """Refuse an import of whose files none could be read.

    Args:
        notes: names the files that could not be read.
        read: number of files that could.
        kind: what the files are, in the plural.

    Raises:
        InputError: all files are damaged; the message names one, and why.
    """
    if notes.not_read and not read:
        label, reason = next(iter(notes.not_read.items()))
        raise InputError(f"none of {len(notes.not_read)} {kind} can be read, such as {label}: {reason}")


@contextmanager
def open_members(path: FilePath, wanted: Callable[[str], bool], kind: str) -> Iterator[list[Member]]:
    """List the files of a path, sorted by name; they can be read, in any order, until the block ends.

    A compressed tar is unpacked into a temporary file first: of it, nothing can be read out of order.

    Args:
        path: a folder, which is searched; a `.zip`, `.whl`, (compressed) `.tar` or `.deb`; else a file.
        wanted: whether a file of a folder or archive is of the format, by its path in there. A file that the
            user names always is.
        kind: what the files are, in the plural, for error messages.

    Raises:
        InputError: the path is missing or damaged, or holds no such file.
    """
    path = Path(path)
    name = path.name.lower()
    with ExitStack() as stack:
        if path.is_dir():
            members = _of_folder(path, wanted)
        elif name.endswith(_ZIPS):
            members = _of_zip(path, wanted, stack)
        elif name.endswith(_TARS):
            members = _of_tar(path, wanted, stack)
        elif name.endswith(".deb"):
            members = _of_deb(path, wanted, stack)
        else:
            with input_errors(path):
                path.stat()
            yield [Member(str(path), path.name, path.as_posix(), True, lambda: _read_file(path))]
            return
        if not members:
            raise InputError(f"{path}: expected {kind} in it, found none")
        yield sorted(members, key=lambda member: member.path)


def folder_files(folder: FilePath, wanted: Callable[[str], bool]) -> list[Path]:
    """The wanted files in a folder and those below, sorted; `wanted` gets their paths in the folder."""
    found = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return sorted(file for file in found if wanted(file.relative_to(folder).as_posix()) and file.is_file())


def _read_file(path: Path) -> bytes:
    with open_bytes(path) as file:
        return _limited(file.read(LARGEST + 1))


def _limited(data: bytes) -> bytes:
    if len(data) > LARGEST:
        raise OSError(f"larger than {LARGEST // 2**20} MiB")
    return data


def _of_folder(folder: Path, wanted: Callable[[str], bool]) -> list[Member]:
    members = []
    label = Path(folder).absolute().name or str(folder)  # as `Source.of_folder` names it
    for file in folder_files(folder, wanted):
        inside = file.relative_to(folder).as_posix()

        def read(file: Path = file) -> bytes:
            return _read_file(file)

        members.append(Member(str(file), f"{label}:{inside}", inside, False, read))
    return members


def _of_zip(path: Path, wanted: Callable[[str], bool], stack: ExitStack) -> list[Member]:
    archive = stack.enter_context(open_zip(path))
    members = []
    for inside in archive.namelist():
        if wanted(inside):

            def read(inside: str = inside) -> bytes:
                with archive.open(inside) as file:
                    return _limited(file.read(LARGEST + 1))

            members.append(Member(f"{path}:{inside}", f"{path.name}:{inside}", inside, False, read))
    return members


def _of_tar(path: Path, wanted: Callable[[str], bool], stack: ExitStack) -> list[Member]:
    archive = stack.enter_context(_open_tar(path))
    with input_errors(path):
        found = [entry for entry in archive.getmembers() if entry.isfile() and wanted(entry.name)]
    members = []
    for entry in found:

        def read(entry: tarfile.TarInfo = entry) -> bytes:
            with cast(IO[bytes], archive.extractfile(entry)) as file:
                return _limited(file.read(LARGEST + 1))

        inside = entry.name
        members.append(Member(f"{path}:{inside}", f"{path.name}:{inside}", inside, False, read))
    return members


def _of_deb(path: Path, wanted: Callable[[str], bool], stack: ExitStack) -> list[Member]:
    # Only the wanted files are copied: packages of games have hundreds of megabytes of pictures and sound.
    store = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  (the stack closes it)
    with input_errors(path):
        places = copy_deb_files(path, wanted, store)
    members = []
    for inside, (start, size) in places.items():

        def read(start: int = start, size: int = size) -> bytes:
            store.seek(start)
            return _limited(store.read(min(size, LARGEST + 1)))

        members.append(Member(f"{path}:{inside}", f"{path.name}:{inside}", inside, False, read))
    return members


@contextmanager
def _open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    with tempfile.TemporaryFile() as plain:
        with input_errors(path):
            with gzip.open(path) if path.suffix == ".tgz" else open_bytes(path) as file:
                shutil.copyfileobj(file, plain)
            plain.seek(0)
            archive = tarfile.open(fileobj=plain, mode="r:")  # noqa: SIM115  (closed below)
        with archive:
            yield archive
