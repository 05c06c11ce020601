"""Manifests, checksummed JSON and atomic folders."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xformer.data.manifest import MANIFEST_NAME, Counts, Manifest, Source, SplitEntry
from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, atomic_folder, read_checksummed, write_checksummed

MANIFEST = Manifest(
    tool="xformer 0",
    seed=7,
    options={"near_threshold": 0.7, "splits": {"dev": 1}},
    sources=(Source("wheel ✓", "BSD-3-Clause", "ab" * 32, 5), Source("by hand", "unknown")),
    languages=("de", "zh-Hans"),
    splits={"train": SplitEntry(FileEntry("train.jsonl.gz", 9, "cd" * 32), 2, {"de": Counts(1, 2, 3)})},
    removed={"duplicate": {"de": 4}},
    joined={"groups": 3, "sets": 2, "largest": 2},
)


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files need not survive a power cut here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    assert Manifest.read(tmp_path) == MANIFEST
    assert MANIFEST.split("train").total == Counts(1, 2, 3)
    assert json.loads((tmp_path / MANIFEST_NAME).read_text("utf-8"))["sources"][0]["name"] == "wheel ✓"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.data())
def test_any_change_to_a_manifest_is_found(tmp_path: Path, data: st.DataObject) -> None:
    MANIFEST.write(tmp_path)
    whole = bytearray((tmp_path / MANIFEST_NAME).read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    (tmp_path / MANIFEST_NAME).write_bytes(whole)
    with pytest.raises(InputError, match=MANIFEST_NAME):
        Manifest.read(tmp_path)


def test_another_spelling_of_the_same_content_is_a_change(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    path = tmp_path / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text("utf-8"))), "utf-8")
    with pytest.raises(InputError, match="changed since it was written; expected checksum"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected JSON in UTF-8"),
        (b"\xff", "expected JSON in UTF-8"),
        (b"[]", "a JSON object with the field 'seal'"),
        (b'{"seal": 1}', "a JSON object with the field 'seal'"),
        (b'{"seal": "x"}', "expected checksum x, its content gives"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(InputError, match=message):
        Manifest.read(tmp_path)


def test_other_formats_and_fields_are_refused(tmp_path: Path) -> None:
    replace(MANIFEST, format=2).write(tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="format: expected one of 1, got 2"):
        Manifest.read(tmp_path)
    write_checksummed(tmp_path / "entry.json", FileEntry("a", 1, "b"))
    with pytest.raises(InputError, match=r"this version writes: licence: missing$"):
        read_checksummed(tmp_path / "entry.json", Source)
    with pytest.raises(
        InputError, match=r"writes: name: unknown key; sha256: unknown key; size: unknown key$"
    ):
        read_checksummed(tmp_path / "entry.json", Counts)


def test_sources_say_their_licence(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"abc")
    source = Source.of(tmp_path / "a.whl", "MIT")
    assert (source.name, source.size, source.sha256) == (
        "a.whl",
        3,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )
    with pytest.raises(ValueError, match="source licence: expected a text"):
        Source("a", " ")
    with pytest.raises(InputError, match=r"b\.whl: missing; expected a source file"):
        Source.of(tmp_path / "b.whl", "MIT")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_folder(tmp_path / "f") as folder:
            (folder / "half").write_text("h")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(tmp_path / "f") as folder:
        assert not (tmp_path / "f").exists()
        (folder / "whole").write_text("w")
    assert (tmp_path / "f" / "whole").read_text() == "w"


def test_of_two_that_make_a_folder_at_once_one_is_told(tmp_path: Path) -> None:
    def overtaken() -> None:
        with atomic_folder(tmp_path / "f") as slow:
            (slow / "x").write_text("slow")
            with atomic_folder(tmp_path / "f") as quick:
                (quick / "x").write_text("quick")

    with pytest.raises(InputError, match="cannot be put in place"):
        overtaken()
    assert [(path.name, (path / "x").read_text()) for path in tmp_path.iterdir()] == [("f", "quick")]


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    with pytest.raises(InputError, match="f: already exists"), atomic_folder(tmp_path / "f"):
        pass
    assert (tmp_path / "f").read_text() == "mine"
