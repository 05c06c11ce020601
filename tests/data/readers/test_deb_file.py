"""Debian packages: the files that they install, read like those of other archives."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.data.embedded.packing import deb
from xformer.data.readers.members import open_members
from xformer.errors import InputError

FILES = {"usr/a/de.json": "eins", "usr/a/b/en.json": "one" * 9_999, "usr/c.txt": "no", "ü/x.json": "ü"}
FORMS = {"data.tar.xz": "w:xz", "data.tar.gz": "w:gz", "data.tar.bz2": "w:bz2", "data.tar": "w"}


def read_all(path: Path) -> list[tuple[str, str]]:
    with open_members(path, lambda name: name.endswith(".json"), "files") as members:
        # In any order.
        return [(member.label, member.read().decode()) for member in reversed(members)]


@pytest.mark.parametrize("form", FORMS)
def test_the_wanted_files(form: str, tmp_path: Path) -> None:
    (tmp_path / "a_1.0_all.deb").write_bytes(deb(FILES, form, FORMS[form]))
    assert read_all(tmp_path / "a_1.0_all.deb") == [
        ("a_1.0_all.deb:ü/x.json", "ü"),
        ("a_1.0_all.deb:usr/a/de.json", "eins"),
        ("a_1.0_all.deb:usr/a/b/en.json", "one" * 9_999),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_package_that_is_cut_short(form: str, tmp_path: Path) -> None:
    content = deb(FILES, form, FORMS[form])
    for size in (0, 4, 100, len(content) // 2):
        (tmp_path / "a.deb").write_bytes(content[:size])
        with pytest.raises(InputError, match=r"a\.deb: "):
            read_all(tmp_path / "a.deb")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\3\4", "expected a Debian package, this is no ar archive"),
        (b"!<arch>\n", "the Debian package has no data.tar"),
        (b"!<arch>\n" + b"x" * 60, "the Debian package is damaged or truncated"),
        (deb({})[:100], "the Debian package is damaged or truncated"),
        (deb({"readme": ""}), "expected files in it, found none"),
    ],
)
def test_what_is_no_such_package(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.deb: {said}"):
        read_all(tmp_path / "a.deb")


def test_a_missing_package(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.deb: no such file"):
        read_all(tmp_path / "gone.deb")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads zstd")
def test_a_package_by_zstd(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(deb({"x": "y"}, "data.tar.zst", "w"))
    with pytest.raises(InputError, match=r"a\.deb: is compressed by zstd.* dpkg-deb --extract"):
        read_all(tmp_path / "a.deb")
