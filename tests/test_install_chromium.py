"""The set-up installs Chromium where that asks nobody, says how elsewhere, and never fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "install_chromium.sh"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs; nothing else can be run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def add(machine: Path, name: str, body: str) -> None:
    file = machine / name
    file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    file.chmod(0o755)


def run(machine: Path, **more: str) -> str:
    done = subprocess.run(
        ["/bin/sh", SCRIPT], env={"PATH": str(machine), **more}, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_one_that_is_there_is_taken(machine: Path) -> None:
    add(machine, "google-chrome", "exit 1")
    assert run(machine) == ""
    (machine / "google-chrome").unlink()
    assert run(machine, XFORMER_CHROMIUM="/opt/chromium") == ""


@pytest.mark.parametrize("works", [True, False])
def test_root_installs_it(machine: Path, works: bool) -> None:
    add(machine, "id", "echo 0")
    add(machine, "apt-get", f'echo "$@" >> {machine / "asked"}\n[ "$1" = update ] || {str(works).lower()}')
    said = run(machine)
    asked = (machine / "asked").read_text(encoding="utf-8").split("\n")
    assert asked[0] == "update -qq"
    assert asked[1].endswith(" chromium")
    assert ("apt-get install" in said.replace("\n", " ")) == (not works)


def test_others_are_told_how(machine: Path) -> None:
    add(machine, "id", "echo 1000")
    add(machine, "apt-get", f"touch {machine / 'asked'}")
    assert "XFORMER_CHROMIUM" in run(machine)
    assert not (machine / "asked").exists()
