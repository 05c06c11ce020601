"""Files in folders and archives, named and read alike."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.embedded.packing import deb, tar, wheel
from xformer.data.readers.archives import is_archive, open_members
from xformer.errors import InputError

FILES = {"a/de.json": "eins", "a/b/en.json": "one" * 9_999, "c.txt": "not asked for", "ü/x.json": "ü"}
ARCHIVES: dict[str, Callable[[], bytes]] = {
    "made.zip": lambda: wheel(FILES),
    "made-1.0-py3-none-any.whl": lambda: wheel(FILES),
    "made.tar": lambda: tar(FILES, "w"),
    "made.tgz": lambda: tar(FILES),
    "made.tar.bz2": lambda: tar(FILES, "w:bz2"),
    "made.tar.xz": lambda: tar(FILES, "w:xz"),
    "made_1.0_all.deb": lambda: deb(FILES),
    "made_1.1_all.deb": lambda: deb(FILES, "data.tar.gz", "w:gz"),
    "made_1.2_all.deb": lambda: deb(FILES, "data.tar", "w"),
}


def is_json(name: str) -> bool:
    return name.endswith(".json")


@pytest.mark.parametrize("name", ["folder", *ARCHIVES])
def test_the_wanted_files_sorted_and_in_any_order(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "folder":
        for inside, content in FILES.items():
            (path / inside).parent.mkdir(parents=True, exist_ok=True)
            (path / inside).write_text(content, encoding="utf-8")
    else:
        path.write_bytes(ARCHIVES[name]())
        assert is_archive(path)
    with open_members(path, is_json) as members:
        assert members.label == name
        assert members.names == ("a/b/en.json", "a/de.json", "ü/x.json")
        assert [members.read(each).decode() for each in reversed(members.names)] == [
            "ü",
            "eins",
            "one" * 9_999,
        ]


def read_all(path: Path) -> None:
    with open_members(path, is_json) as members:
        for name in members.names:
            members.read(name)


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_cut_short(name: str, tmp_path: Path) -> None:
    content = ARCHIVES[name]()
    for size in (0, 4, len(content) // 2):
        (tmp_path / name).write_bytes(content[:size])
        with pytest.raises(InputError, match=f"{name}: "):
            read_all(tmp_path / name)


def test_the_last_of_two_files_of_one_name_counts(tmp_path: Path) -> None:
    stream = tar({"a.json": "old"}, "w")[:1024] + tar({"./a.json": "new"}, "w")
    (tmp_path / "a.tar").write_bytes(stream)
    with open_members(tmp_path / "a.tar", is_json) as members:
        assert (members.names, members.read("a.json")) == (("a.json",), b"new")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.rar", b"Rar!", r"expected a folder or an archive \(\.zip, \.whl, \.tar, "),
        ("a.zip", b"PK", "not a valid compressed file"),
        ("a.deb", b"PK\3\4", "expected a Debian package, this is no ar archive"),
        ("a.deb", b"!<arch>\n", "the Debian package has no data.tar"),
        ("a.deb", b"!<arch>\n" + b"x" * 60, "the Debian package is damaged or truncated"),
        ("a.deb", deb({})[:100], "the Debian package is damaged or truncated"),
        ("a.tgz", b"no archive", "not a valid compressed file"),
    ],
)
def test_what_is_no_archive(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: {said}"):
        read_all(tmp_path / name)


def test_a_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.tgz: no such file"):
        read_all(tmp_path / "gone.tgz")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads zstd")
def test_a_debian_package_by_zstd(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(deb({"x": "y"}, "data.tar.zst", "w"))
    with pytest.raises(InputError, match=r"a\.deb: is compressed by zstd.* dpkg-deb --extract"):
        read_all(tmp_path / "a.deb")
