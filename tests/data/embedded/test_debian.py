"""What apt is asked for, and which of its answers mean that this machine can't have a package."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.data.embedded.packing import package
from xformer.data.embedded import debian
from xformer.data.embedded.packages import Package
from xformer.data.embedded.tools import Missing, ToolError

GAME = package("debian", "game-data", b"")


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with what `apt-get` says before it fails; it writes what it was asked for beside it."""
    tool = tmp_path / "apt-get"
    says = tmp_path / "says"
    tool.write_text(
        f'#!/bin/sh\necho "$LC_ALL $@" > {tmp_path}/asked\n[ -e {says} ] || exit 0\n'
        f'while read -r line; do echo "$line" >&2; done < {says}\nexit 100\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    return says


@pytest.mark.parametrize(
    ("filename", "asked"),
    [
        ("game-data_1.0_all.deb", "C download --quiet game-data=1.0"),
        ("game-data_1.0_amd64.deb", "C download --quiet game-data:amd64=1.0"),
    ],
)
def test_what_is_asked_for(filename: str, asked: str, apt: Path, tmp_path: Path) -> None:
    debian.download(dataclasses.replace(GAME, filename=filename), tmp_path)
    assert (tmp_path / "asked").read_text().strip() == asked


@pytest.mark.parametrize(
    "says",
    [
        "E: Unable to locate package game-data",
        "E: Unable to locate package game-data:amd64",
        "E: Version '1.0' for 'game-data' was not found",
    ],
)
def test_another_release_never_has_it(says: str, apt: Path, tmp_path: Path) -> None:
    apt.write_text(f"Reading package lists...\n{says}\n")
    with pytest.raises(Missing, match=r"apt has no game-data 1\.0"):
        debian.download(GAME, tmp_path)


def test_a_failure_is_no_absence(apt: Path, tmp_path: Path) -> None:
    apt.write_text("E: Failed to fetch game-data_1.0_all.deb  503  Service Unavailable\n")
    with pytest.raises(ToolError, match="503  Service Unavailable"):
        debian.download(GAME, tmp_path)


def test_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    game: Package = GAME
    with pytest.raises(Missing, match="apt-get is not on this machine"):
        debian.download(game, tmp_path)
