"""The bench of imports: two trees that are this one, on a small corpus.

Covers bench, command and worker of xformer.benchmarks.data.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from xformer.benchmarks.data.bench import Measured, compare, measure_all
from xformer.benchmarks.data.command import DataBench, comparison_table
from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    draw = random.Random(0)
    texts = ["".join(draw.choices("abcdefgh ", k=30)) for _ in range(400)]
    records = [Record(text, "en", f"g{number}", "s") for number, text in enumerate(texts)]
    options = ImportOptions()
    import_corpus(records, tmp_path / "corpus", options, [Source("synthetic", "CC0-1.0")])
    return tmp_path / "corpus"


@pytest.mark.slow
def test_a_tree_beside_itself(corpus: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "data.json"
    status = DataBench(corpus, base=str(ROOT), texts=300, rounds=1, out=out, json=True).run_command()
    record = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == record
    assert status == 1, "no tree is three times as fast as itself"
    assert [one["work"] for one in record["compared"]] == ["import", "decontaminate"]
    assert not any(one["met"] for one in record["compared"])
    assert record["texts"] == 300
    sides = [(one["work"], one["side"]) for one in record["measured"]]
    assert sides == [
        (work, side) for work in ("read", "import", "decontaminate") for side in ("base", "here")
    ]
    for one in record["measured"]:
        assert 0 <= one["peak_mib"] < 200, "the modules of the process do not count"
        assert ("write" in one["stages"]) == (one["work"] != "read")
        assert one["seconds"] == pytest.approx(
            one["stages"]["read"] if one["work"] != "import" else sum(one["stages"].values()), abs=0.1
        )


def test_speeds_leave_out_reading_and_memory_counts() -> None:
    base = [Measured("read", "base", 1, 1, 10), Measured("import", "base", 13, 7, 100)]
    here = [Measured("read", "here", 1, 1, 10), Measured("import", "here", 4, 4, 100)]
    more = [Measured("decontaminate", "base", 21, 21, 50), Measured("decontaminate", "here", 2, 2, 51)]
    imported, decontaminated = compare([*base, *here, *more], 120)
    assert (imported.base, imported.here, imported.ratio, imported.cpu_ratio) == (10, 40, 4, 2)
    assert imported.met
    assert decontaminated.ratio == 20
    assert not decontaminated.met, "it takes more memory"
    console = Console(width=80)
    with console.capture() as shown:
        console.print(comparison_table([imported, decontaminated], "v0.3.0", 3_460_278))
    lines = [line.rstrip() for line in shown.get().splitlines()]
    assert [line.rpartition(" ")[2] for line in lines if line.startswith(("import", "decont"))] == [
        "met",
        "missed",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is set back as Linux does it")
def test_memory_is_that_of_the_work_alone() -> None:
    """In a process of its own: in this one malloc may have kept what earlier tests gave back."""
    code = """
from xformer.benchmarks.data.worker import Memory
before = bytearray(b"1") * (64 << 20)
del before
memory = Memory()
print(memory.peak())
block = bytearray(b"1") * (32 << 20)
del block
print(memory.peak())
"""
    # A fixed threshold: blocks of this size go back to the system at once.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, check=True
    )
    small, large = map(float, done.stdout.split())
    assert small < 8
    assert 30 < large < 48


def test_a_side_that_fails_is_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "xformer").mkdir()
    (tmp_path / "xformer" / "__init__.py").write_text("raise ImportError('broken')")
    with pytest.raises(InputError, match=r"(?s)read failed.*broken"):
        list(measure_all({"base": tmp_path}, corpus, 10, rounds=1))


def test_impossible_options_are_refused(corpus: Path) -> None:
    with pytest.raises(InputError, match="--rounds: expected at least 1, got 0"):
        DataBench(corpus, rounds=0).run_command()
    with pytest.raises(InputError, match="--texts: expected at least 1, got 0"):
        DataBench(corpus, texts=0).run_command()
