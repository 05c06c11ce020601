"""Files that are whole or absent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from xformer.files import atomic_write, sha256_of


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
    assert calls == ["flush", "rename"]


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
