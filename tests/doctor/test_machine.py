from __future__ import annotations

import os
from pathlib import Path

import pytest

from xformer.doctor.competition import Competition, Look
from xformer.doctor.machine import company, cores, of_competition, processor, resources


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A system that describes nothing."""
    return tmp_path / "nowhere"


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processors, all allowed."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)


@pytest.mark.parametrize(
    ("flags", "state", "word"),
    [
        ("avx2 avx512f avx512_vnni avx512_bf16", "ok", "of its own; not there: AMX"),
        ("avx2", "ok", "may be worth trying; not there: AVX-512, VNNI, bf16, AMX"),
        ("sse2", "warning", "no AVX2"),
        ("asimd bf16", "ok", "not there: AVX2, AVX-512, VNNI, AMX"),
        (None, "note", "does not list"),
    ],
)
def test_instructions(tmp_path: Path, flags: str | None, state: str, word: str) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n", encoding="utf-8")
    found = processor(tmp_path)
    assert found.state == state
    assert word in found.verdict


@pytest.mark.usefixtures("four")
def test_threads_are_held_against_what_may_run(tmp_path: Path, nowhere: Path) -> None:
    assert cores(4, {}, nowhere, nowhere).state == "ok"
    few = cores(1, {"OMP_NUM_THREADS": "1"}, nowhere, nowhere)
    assert (few.state, "OMP_NUM_THREADS=1" in few.value) == ("note", True)
    assert cores(None, {}, nowhere, nowhere).state == "note"
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("0::/\n", encoding="utf-8")
    (tmp_path / "cpu.max").write_text("250000 100000\n", encoding="utf-8")
    many = cores(4, {}, tmp_path, tmp_path)
    assert (many.state, "2.5 by quota" in many.value) == ("warning", True)
    assert many.verdict.endswith("export OMP_NUM_THREADS=2")


def test_others_are_named_and_counted() -> None:
    free = of_competition(Competition((("sshd", 3, 0.06),), 0.0, 0), "load 0.1", 2)
    assert (free.state, free.value) == ("ok", "load 0.1; sshd (3) 6%")
    busy = of_competition(Competition((("ffmpeg", 9, 0.9), ("sshd", 3, 0.01)), 0.3, 2), "load 2.0", 2)
    assert busy.state == "warning"
    assert busy.value == "load 2.0; ffmpeg (9) 90%, processes out of sight 30%, 2 may not be read"
    assert "others use 1.2 of 2 processors" in busy.verdict
    assert "training.threads=1" in busy.verdict


def test_company_where_processes_are_not_listed(nowhere: Path) -> None:
    assert company(None, set(), nowhere).state == "note"
    assert company(Look.now(), set(), nowhere).state == "note"


def test_memory_and_disk(tmp_path: Path, nowhere: Path) -> None:
    cache = {"XFORMER_CACHE": str(tmp_path / "not/yet")}
    memory, disk, here = resources(cache, nowhere, nowhere)
    assert (memory.state, here.name) == ("note", "here")
    assert str(tmp_path / "not/yet") in disk.value
    (tmp_path / "meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\n", encoding="utf-8")
    few = next(iter(resources(cache, tmp_path, nowhere)))
    assert (few.state, few.value) == ("warning", "1.0 GiB free of 8.0 GiB")
    (tmp_path / "file").write_text("", encoding="utf-8")
    in_file = list(resources({"XFORMER_CACHE": str(tmp_path / "file")}, nowhere, nowhere))[1]
    assert (in_file.state, "cannot be written" in in_file.verdict) == ("warning", True)


def test_there_may_be_no_home(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    def home() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", home)
    assert "set XFORMER_CACHE" in list(resources({}, nowhere, nowhere))[1].verdict
