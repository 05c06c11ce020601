"""Processes that fetch the same file, one after another and at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.data.fetch.conftest import CONTENT, PATH, WHOLE
from tests.data.fetch.server import Answer, Server
from xformer.data.fetch.files import Remote, fetch_file
from xformer.data.fetch.http import Client

_CHILD = """
import sys
from xformer.data.fetch.files import Remote, fetch_file
from xformer.data.fetch.http import Client
url, folder = sys.argv[1:]
found = fetch_file(Client(), Remote(url, "corpus.zip"), folder, lambda path: "CC0-1.0")
print(found.kept, found.resumed)
"""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_ended_goes_on(server: Server, tmp_path: Path, stop: signal.Signals) -> None:
    server.files[PATH] = CONTENT
    server.script(PATH, Answer(announce=len(CONTENT), pause=0.02, piece=500))
    command = [sys.executable, "-c", _CHILD, f"{server.url}{PATH}", str(tmp_path)]
    part = tmp_path / "corpus.zip.part"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 2_000):
            assert time.monotonic() < until
            time.sleep(0.005)
        process.send_signal(stop)
        process.wait()
    assert process.returncode != 0
    assert not (tmp_path / "corpus.zip").exists()
    before = part.stat().st_size
    assert 2_000 < before < len(CONTENT)
    found = fetch_file(Client(), Remote(f"{server.url}{PATH}", "corpus.zip"), tmp_path, lambda _: "CC0-1.0")
    assert (found.kept, found.resumed) == (False, before)
    assert (tmp_path / "corpus.zip").read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, f"bytes={before}-"]


def test_two_processes_at_once(server: Server, tmp_path: Path) -> None:
    """One fetches, the other waits and finds it."""
    server.files[PATH] = CONTENT
    server.script(PATH, Answer(pause=0.01, piece=2_000))
    command = [sys.executable, "-c", _CHILD, f"{server.url}{PATH}", str(tmp_path)]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0].split()[0] for process in pair)
    assert said == ["False", "True"]
    assert len(server.ranges(PATH)) == 1
    assert (tmp_path / "corpus.zip").read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == WHOLE
