"""Busy processes end with whoever started them, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xformer.benchmarks.companions import companions

ROOT = Path(__file__).parents[2]


def _runs(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="this system lists no processes in /proc")
def test_they_run_inside_the_block_only() -> None:
    with companions(2) as processes:
        assert all(_runs(process) for process in processes)
    assert not any(_runs(process) for process in processes)
    with companions(0) as none:
        assert none == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="this system lists no processes in /proc")
def test_they_end_with_their_parent(how: signal.Signals) -> None:
    code = (
        # A program that was begun in the background of a shell ignores SIGINT, and so do its children.
        "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from xformer.benchmarks.companions import companions\n"
        "with companions(1) as one:\n    print(*one, flush=True)\n    time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    with parent.stdout:
        companion = int(parent.stdout.readline())
    parent.send_signal(how)
    try:
        parent.wait(timeout=60)
    finally:
        parent.kill()
    deadline = time.monotonic() + 60
    while _runs(companion) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(companion)
