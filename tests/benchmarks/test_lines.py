"""Files of records stay whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from xformer.benchmarks.lines import append_lines


def test_lines_are_added_after_whole_ones(tmp_path: Path) -> None:
    file = tmp_path / "new" / "some.jsonl"
    append_lines(file, ["a"])
    with file.open("ab") as cut:
        cut.write(b"half of a li")
    append_lines(file, ["b", "ç"])
    assert file.read_bytes() == "a\nb\nç\n".encode()


@pytest.mark.slow
def test_the_bench_of_kernels_runs_beside_older_revisions() -> None:
    """It is copied into their files, and finds there what it imports; most of the product has moved since."""
    worker = "xformer.benchmarks.kernels.worker"
    code = f"import sys, xformer; own = {{*sys.modules}}; import {worker}; print(*{{*sys.modules}} - own)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    needed = {name for name in done.stdout.split() if name.startswith("xformer.")}
    own = ("xformer.benchmarks", "xformer.kernels")
    assert worker in needed
    assert {name for name in needed if not name.startswith(own)} <= {"xformer.errors"}
