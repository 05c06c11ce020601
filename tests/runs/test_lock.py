"""One process at a time trains a run; the lock of a killed process does not count."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.runs.lock import only_one

HOLDER = """
import sys, time
from pathlib import Path
from xformer.runs.lock import only_one
with only_one(Path(sys.argv[1]), "it", print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run" / "lock")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_refused_and_told_who_is_first(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    lock = tmp_path / "run" / "lock"
    with (
        pytest.raises(InputError, match=rf"^the run: process {holder.pid} on .* is using it; wait"),
        only_one(lock, "the run", print),
    ):
        raise AssertionError("both have it")
    assert lock.is_file()


def test_a_killed_holder_locks_nobody_out(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    lock = tmp_path / "run" / "lock"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.is_file()
    with only_one(lock, "the run", print):
        assert str(os.getpid()) in lock.read_text(encoding="utf-8")
    assert not lock.exists()


def test_a_file_that_its_holder_removed_meanwhile_is_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, flock, calls = tmp_path / "lock", fcntl.flock, 0

    def late(descriptor: int, how: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            lock.unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with only_one(lock, "the run", print):
        assert lock.is_file()
    assert calls == 2


def test_where_files_cannot_be_locked_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    said: list[str] = []
    with only_one(tmp_path / "lock", "the run", said.append):
        pass
    assert len(said) == 1
    assert "cannot be locked here (No locks available)" in said[0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with (
        pytest.raises(InputError, match=r"file/lock: .*expected a folder that can be written to"),
        only_one(tmp_path / "file" / "lock", "the run", print),
    ):
        pass
