"""Places to write to are tried before work, and the trial leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.storage.outputs import check_output_file, check_output_folder

FullDisk = Callable[..., AbstractContextManager[None]]

needs_proc = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, where nothing can be made")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_what_can_be_written_passes_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    before = _names(tmp_path)
    check_output_file(tmp_path / "there" / "file")
    check_output_file(tmp_path / "there" / "new")
    check_output_file(str(tmp_path / "a" / "b" / "new"))
    check_output_folder(tmp_path / "there")
    check_output_folder(tmp_path / "a" / "b")
    check_output_folder(tmp_path / "empty", new=True)
    check_output_folder(tmp_path / "a" / "b", new=True)
    assert _names(tmp_path) == before
    assert (tmp_path / "there" / "file").read_text() == "mine"


def test_relative_places_are_those_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_output_file("new")
    check_output_folder(".", new=True)
    check_output_folder("..")
    assert _names(tmp_path) == []


@pytest.mark.parametrize("new", [True, False])
def test_a_folder_that_cannot_be_made_is_named_with_the_reason(
    tmp_path: Path, new: bool, full_disk: FullDisk
) -> None:
    (tmp_path / "file").write_text("")
    before = _names(tmp_path)
    with pytest.raises(InputError, match=r"/file: this is a file; expected a folder$"):
        check_output_folder(tmp_path / "file", new=new)
    for below in ("file/x", "file/x/y"):
        with pytest.raises(InputError, match=rf"/{below}: {tmp_path}/file is a file; expected a folder$"):
            check_output_folder(tmp_path / below, new=new)
    for name in ("n" * 300, "n" * 300 + "/x"):
        with pytest.raises(InputError, match=r"nnn.*: File name too long$"):
            check_output_folder(tmp_path / name, new=new)
    with full_disk(), pytest.raises(InputError, match=r"/full: File too large$"):
        check_output_folder(tmp_path / "full", new=new)
    assert _names(tmp_path) == before


@needs_proc
def test_where_nothing_can_be_made(tmp_path: Path) -> None:
    for check in (check_output_file, check_output_folder):
        with pytest.raises(InputError, match=r"^/proc/x: nothing can be made in /proc$"):
            check("/proc/x")
    with pytest.raises(InputError, match=r"^/proc/x: nothing can be made in /proc$"):
        check_output_folder("/proc/x", new=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        check_output_file(tmp_path / "new")


def test_a_new_folder_has_nothing_in_it_and_is_no_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path)
    check_output_folder(tmp_path)
    with pytest.raises(InputError, match="a mounted folder cannot be replaced"):
        check_output_folder(tmp_path, new=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="already exists; expected a new or an empty folder"):
        check_output_folder(tmp_path, new=True)


def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=rf"^{tmp_path}: Is a directory$"):
        check_output_file(tmp_path)
    with pytest.raises(InputError, match=r"/file/x: .*/file is a file; expected a folder$"):
        check_output_file(tmp_path / "file" / "x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"/pipe: not a file but a device or a pipe$"):
        check_output_file(tmp_path / "pipe")
    assert _names(tmp_path) == ["file", "pipe"]
