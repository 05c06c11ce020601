"""Files that are whole or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from xformer.storage.files import atomic_write, naming, sha256_of, try_to_write, write_files

FullDisk = Callable[..., AbstractContextManager[None]]


def test_text_is_utf8_with_plain_line_ends_in_a_folder_made_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text"
    with atomic_write(path) as file:
        file.write("čaj\n")
    assert path.read_bytes() == "čaj\n".encode()


def test_bytes_are_bytes(tmp_path: Path) -> None:
    with atomic_write(str(tmp_path / "bytes"), "wb") as file:
        file.write(b"\r\n\xff")
    assert (tmp_path / "bytes").read_bytes() == b"\r\n\xff"


def test_until_the_end_the_old_content_stays(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("knows_folders", [True, False])
def test_the_name_is_flushed_after_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows_folders: bool
) -> None:
    """And where a file system cannot flush a folder, the file is there all the same."""
    path, flushed = tmp_path / "text", list[tuple[str, bool]]()

    def fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        flushed.append(("folder" if folder else "file", path.exists()))
        if folder and not knows_folders:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_write(path) as file:
        file.write("new")
    assert flushed == [("file", False), ("folder", True)]
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("existed", [True, False])
def test_after_a_failure_nothing_has_changed(tmp_path: Path, error: BaseException, existed: bool) -> None:
    path = tmp_path / "text"
    if existed:
        path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as file:
            file.write("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == (["text"] if existed else [])
    assert not existed or path.read_text() == "old"


def test_the_bytes_reach_the_disk_before_the_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    rename = os.replace

    def replace(source: Path, target: Path) -> None:
        calls.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("flush"))
    monkeypatch.setattr(os, "replace", replace)
    with atomic_write(tmp_path / "text") as file:
        file.write("x")
    assert calls == ["flush", "rename", "flush"]


def test_other_modes_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="mode: expected 'w' or 'wb', got 'a'"),
        atomic_write(tmp_path / "x", "a"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_hashes_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 300_000)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(b"x" * 300_000).hexdigest()


def test_an_error_of_the_system_names_the_file(tmp_path: Path, full_disk: FullDisk) -> None:
    path = tmp_path / "text"

    def write() -> None:
        with atomic_write(path) as file:
            file.write("x" * 100)

    with full_disk(), pytest.raises(OSError, match=r"File too large: .*/text'$"):
        write()
    assert list(tmp_path.iterdir()) == []
    path.mkdir()
    with pytest.raises(IsADirectoryError) as error:
        write()
    assert str(path) in (error.value.filename, error.value.filename2)


def test_a_temporary_name_is_given_as_the_one_to_come(tmp_path: Path) -> None:
    def fail(name: str | None) -> str | None:
        with pytest.raises(OSError, match="no room") as error, naming(tmp_path / "folder"):
            raise OSError(errno.ENOSPC, "no room", name)
        found: str | None = error.value.filename
        return found

    assert fail(None) == str(tmp_path / "folder")
    assert fail(str(tmp_path / ".folder.ab12.partial" / "x.bin")) == str(tmp_path / "folder" / "x.bin")
    assert fail(str(tmp_path / "other")) == str(tmp_path / "other")
    assert fail(str(tmp_path)) == str(tmp_path)
    with pytest.raises(OSError, match="which disk") as error, naming(tmp_path / "folder"):
        raise OSError(errno.EIO, "which disk it was is not known")
    assert error.value.filename is None


def test_no_file_takes_the_place_of_a_folder_or_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(OSError, match=r"not a file but a device or a pipe: .*/pipe'$"),
        atomic_write(tmp_path / "pipe"),
    ):
        pass
    with pytest.raises(IsADirectoryError), atomic_write(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_room_can_be_asked_for_beforehand(tmp_path: Path, full_disk: FullDisk) -> None:
    path = tmp_path / "a" / "text"
    try_to_write(path)
    assert list(tmp_path.iterdir()) == []
    with full_disk(), pytest.raises(OSError, match=r"File too large: .*/a/text'$"):
        try_to_write(path)


def test_no_file_takes_the_place_of_a_link_to_what_a_process_has_open(tmp_path: Path) -> None:
    """As `/dev/stdout` is, where standard output goes to a file."""
    with (tmp_path / "stream").open("w") as stream:
        link = tmp_path / "out"
        link.symlink_to(tmp_path / "there")
        (tmp_path / "there").symlink_to(f"/proc/self/fd/{stream.fileno()}")
        for write in (lambda: try_to_write(link), lambda: atomic_write(link).__enter__()):
            with pytest.raises(OSError, match="not a file but a device or a pipe"):
                write()
        assert link.is_symlink()
    (tmp_path / "round").symlink_to(tmp_path / "round")
    with atomic_write(tmp_path / "round") as file:
        file.write("a link that leads nowhere gives way")
    plain = tmp_path / "link"
    plain.symlink_to(tmp_path / "file")
    with atomic_write(plain) as file:
        file.write("text")
    assert plain.read_text() == "text"


def test_files_are_written_as_they_are_made(tmp_path: Path) -> None:
    def contents() -> Iterator[tuple[Path, bytes | None]]:
        yield tmp_path / "new" / "a", b"1"
        yield tmp_path / "b", None
        assert (tmp_path / "new" / "a").read_bytes() == b"1"
        yield tmp_path / "c", b""

    assert write_files(contents()) == [tmp_path / "new" / "a", tmp_path / "c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "new"]
