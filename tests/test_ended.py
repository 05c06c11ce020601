"""Commands that a signal or a full disk ends: nothing half written stays, and the status says why."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from xformer.ended import Ended, ended_by_signals

# The signal comes when the temporary folder holds what was read, and the waiting ends with it.
ENDED = """
import os, signal, sys, time
from xformer.cli import main
import xformer.data.corpus as corpus

def end(*arguments):
    sys.stdout.write(" ".join(sorted(os.listdir("."))) + "\\n")
    sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(60)

corpus.plan_import = end
main(sys.argv[2:])
"""
IMPORT = (
    "data",
    "import",
    "text",
    "texts.en",
    "--languages",
    "en",
    "--out",
    "corpus",
    "--licence",
    "CC0-1.0",
)


def _run(
    folder: Path, code: str, number: int, arguments: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    (folder / "texts.en").write_text("".join(f"this is text {n}\n" for n in range(3_000)))
    command = [sys.executable, "-c", code, str(int(number)), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGHUP, 129, "the terminal was closed"),
    ],
)
def test_an_import_that_is_ended_leaves_nothing(
    tmp_path: Path, number: signal.Signals, status: int, said: str
) -> None:
    done = _run(tmp_path, ENDED, number, IMPORT)
    assert ".corpus." in done.stdout
    assert (done.returncode, done.stderr) == (status, f"xformer: {said}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["texts.en"]


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    full = (
        "import resource, sys\nfrom xformer.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))\nmain(sys.argv[2:])"
    )
    done = _run(tmp_path, full, 0, IMPORT)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["texts.en"]


def test_signals_are_as_before_behind_the_block() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(Ended) as ended, ended_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.status == 143
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_go_on_without() -> None:
    passed = []

    def work() -> None:
        with ended_by_signals():
            passed.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed == [True]
