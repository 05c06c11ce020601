"""Checksummed JSON: errors for a missing file and for another version; files and their hashes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, read_checksummed, verify_files, write_checksummed


@dataclass(frozen=True)
class _Before:
    number: int


@dataclass(frozen=True)
class _Now:
    number: int
    name: str


def test_errors_name_no_class_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with pytest.raises(InputError, match=r"state\.json: missing; expected the file that lists the files of "):
        read_checksummed(path, _Now)
    write_checksummed(path, _Before(3))
    with pytest.raises(
        InputError, match=r"state\.json: expected the fields that this version writes: "
    ) as said:
        read_checksummed(path, _Now)
    assert "name" in str(said.value)
    assert "_Now" not in str(said.value)


def _raises(folder: Path, files: list[FileEntry], rank: int, world: int) -> bool:
    try:
        verify_files(folder, files, rank, world)
    except InputError as error:
        return "damaged; expected sha256" in str(error)
    return False


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_each_of_many_processes_compares_a_share(tmp_path: Path, world: int) -> None:
    files: list[FileEntry] = []
    for size in (3, 50, 50, 1, 20):
        path = tmp_path / f"{len(files)}.bin"
        path.write_bytes(bytes(size))
        files.append(FileEntry.of(path))
    bytes_of: list[int] = [0] * world
    for file in files:
        path = tmp_path / file.name
        path.write_bytes(bytes(file.size - 1) + b"!")
        found = [_raises(tmp_path, files, rank, world) for rank in range(world)]
        assert found.count(True) == 1  # one process, whichever file it is
        bytes_of[found.index(True)] += file.size
        path.write_bytes(bytes(file.size))
    assert max(bytes_of) - min(bytes_of) <= 50
    verify_files(tmp_path, files)
    (tmp_path / "3.bin").write_bytes(b"xx")
    for rank in range(world):  # sizes are compared by all
        with pytest.raises(InputError, match=r"3\.bin: expected 1 bytes, found 2"):
            verify_files(tmp_path, files, rank, world, content=False)
