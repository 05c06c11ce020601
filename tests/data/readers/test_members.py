"""The files that a path holds."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from xformer.data.import_notes import ImportNotes
from xformer.data.readers import members as module
from xformer.data.readers.members import Member, check_any_read, folder_files, open_members
from xformer.errors import InputError

FILES = {"b/two.txt": b"two", "b/one.txt": b"one", "a/three.txt": b"three", "a/other": b"other"}
TEXTS = {"a/three.txt": b"three", "b/one.txt": b"one", "b/two.txt": b"two"}


def _is_text(path: str) -> bool:
    return path.endswith(".txt")


def _pack(path: Path) -> Path:
    if path.suffix in (".zip", ".whl"):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in FILES.items():
                archive.writestr(name, content)
    elif not path.suffix:
        for name, content in FILES.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    else:
        kind = {".tgz": "gz", ".tar": ""}.get(path.suffix, path.suffix[1:])
        with tarfile.open(path, f"w:{kind}") as tar:  # type: ignore[call-overload]
            for name, content in FILES.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            link = tarfile.TarInfo("b/link.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
            tar.addfile(link)
    return path


@pytest.mark.parametrize(
    "name", ["folder", "a.zip", "a.whl", "a.tgz", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"]
)
def test_the_files_of_folders_and_archives_are_listed_and_read_in_any_order(
    tmp_path: Path, name: str
) -> None:
    path = _pack(tmp_path / name)
    with open_members(path, _is_text, "texts") as members:
        assert {member.path: member.read() for member in reversed(members)} == TEXTS
        assert [member.path for member in members] == list(TEXTS)
        assert [member.label for member in members] == [f"{name}:{inside}" for inside in TEXTS]
        assert not any(member.is_given for member in members)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_the_user_names_is_read_whatever_its_name(write: Any, compressed: bool) -> None:
    path = write("a.gz", gzip.compress(b"text")) if compressed else write("a", "text")
    with open_members(path, _is_text, "texts") as (member,):
        assert (member.name, member.label, member.is_given) == (str(path), path.name, True)
        assert member.read() == b"text"


def test_a_path_without_such_files_is_refused(tmp_path: Path, write: Any, refused: Any) -> None:
    (tmp_path / "empty").mkdir()
    for path, *reason in [
        (tmp_path / "empty", "expected texts in it, found none"),
        (tmp_path / "missing", "no such file"),
        (tmp_path / "missing.tgz", "no such file"),
        (write("a.zip", "text"), "not a valid compressed file"),
        (write("a.tgz", "text"), "not a valid compressed file"),
        (write("b.tgz", gzip.compress(b"text" * 999)), "not a valid compressed file"),
        (write("c.tgz", gzip.compress(b"text" * 999)[:-20]), "truncated"),
    ]:
        with refused(path, *reason), open_members(path, _is_text, "texts"):
            pass


@pytest.mark.parametrize("name", ["folder", "a.zip", "a.tgz"])
def test_a_file_that_would_fill_the_memory_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, refused: Any
) -> None:
    monkeypatch.setattr(module, "LARGEST", 4)
    with open_members(_pack(tmp_path / name), _is_text, "texts") as members:
        assert members[1].read() == b"one"
        with refused(members[0].name, "larger than"):
            members[0].read()


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    folder = _pack(tmp_path / "folder")
    (folder / "a" / "all").symlink_to(folder)
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    assert [file.relative_to(folder).as_posix() for file in folder_files(folder, _is_text)] == list(TEXTS)


def test_a_damaged_file_ends_the_import_only_if_it_is_named_or_the_last_hope() -> None:
    notes, error = ImportNotes(), InputError("folder/a: broken")
    Member("folder/a", "folder:a", "a", False, bytes).refuse(error, notes)
    assert notes.not_read == {"folder:a": "broken"}
    check_any_read(notes, 1, "texts")
    with pytest.raises(InputError, match="none of 1 texts can be read, such as folder:a: broken"):
        check_any_read(notes, 0, "texts")
    with pytest.raises(InputError, match="broken"):
        Member("folder/a", "a", "a", True, bytes).refuse(error, notes)
