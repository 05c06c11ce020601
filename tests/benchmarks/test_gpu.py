"""The one call that does everything: its plan, its time, and what it leaves when something goes wrong.

None of this needs a GPU. The stages themselves are tried by `python -m xformer.benchmarks.gpu --cpu`.

Covers xformer.benchmarks.processes and environment, and xformer.benchmarks.kernels.worker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import pytest
import torch

from xformer.benchmarks import gpu, processes
from xformer.benchmarks.gpu import (
    MARGIN,
    NO_GPU,
    SECONDS,
    describe,
    plan,
    run_bench,
    summary,
)
from xformer.benchmarks.kernels.operations import operations
from xformer.benchmarks.kernels.record import Record, append, read
from xformer.benchmarks.kernels.worker import DEVICE_LOST
from xformer.benchmarks.processes import Setup, run_process, run_processes, run_tests

MakeRecord = Callable[..., Record]

# What machines with a GPU come with, and what they lack: everything but torch, triton, numpy and pytest.
ABSENT = ("tyro", "rich", "cattrs", "tomli_w", "sentencepiece", "matplotlib", "safetensors", "shtab")

BARE = """
import importlib.abc, runpy, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError("no module named " + name, name=name)

sys.meta_path.insert(0, Absent())
import xformer.benchmarks.kernels.worker
sys.argv = ["gpu", *{arguments}]
runpy.run_module("xformer.benchmarks.gpu", run_name="__main__")
"""


@pytest.fixture
def setup(tmp_path: Path, repository: Path) -> Setup:
    return Setup(tmp_path, "some-device", True, repository)


def bare(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with nothing installed but what it says that it needs."""
    return subprocess.run(
        [sys.executable, "-P", "-c", BARE.format(absent=ABSENT, arguments=arguments)],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": ".", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_plan_is_under_ten_minutes_and_adds_up() -> None:
    stages = plan(SECONDS, cpu=False)
    assert [stage.name for stage in stages] == ["tests", "bench"]
    assert sum(stage.seconds for stage in stages) + MARGIN == pytest.approx(SECONDS)
    assert SECONDS < 600
    assert sum(operation.gpu_seconds for operation in operations()) <= stages[-1].seconds
    with pytest.raises(ValueError, match="seconds"):
        plan(MARGIN, cpu=False)


@pytest.mark.slow
def test_a_dry_run_needs_no_gpu_and_no_packages(repository: Path) -> None:
    done = bare(repository, "--dry-run")
    assert done.returncode == 0, done.stderr
    expected = describe(plan(SECONDS, cpu=False), SECONDS)
    assert done.stdout.splitlines() == expected
    for operation in operations():
        assert any(f" {operation.name} (estimated at" in line for line in expected)


def test_a_plan_needs_no_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert "in 8 processes" in plan(SECONDS, cpu=False)[0].what


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(repository: Path, tmp_path: Path) -> None:
    done = bare(repository, "--out", str(tmp_path / "results"))
    assert done.returncode == NO_GPU == 2
    assert "expected a GPU" in done.stdout
    assert not (tmp_path / "results").exists()


def test_a_process_that_takes_too_long_is_ended_with_its_children(setup: Setup, tmp_path: Path) -> None:
    child = "import time; time.sleep(60)"
    code = (
        "import signal, subprocess, sys, time, pathlib\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "print('begun', flush=True); time.sleep(60)\n"
    )
    started = time.monotonic()
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        assert run_process(["-c", code], setup, 3.0, log, grace=0.2) is None
    assert time.monotonic() - started < 30
    assert (tmp_path / "log").read_text(encoding="utf-8") == "begun\n"
    number = int((tmp_path / "pid").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 10
    while is_running(number) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(number)


def is_running(number: int) -> bool:
    stat = Path(f"/proc/{number}/stat")
    try:
        return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_processes_run_in_the_checkout(setup: Setup, tmp_path: Path, repository: Path) -> None:
    code = "import os, xformer; print(os.getcwd(), xformer.__file__, os.environ['TRITON_INTERPRET'])"
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        assert run_process(["-c", code], setup, 60, log) == 0
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert said == f"{repository} {repository}/xformer/__init__.py 1\n"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Instead of running them, notes the commands; statuses come from `script`."""
    return []


def pretend(
    monkeypatch: pytest.MonkeyPatch, turns: list[tuple[int | None, str]], started: list[list[str]]
) -> None:
    """Each process ends with the next status, having printed the next text."""

    def run(command: list[str], setup: Setup, seconds: float, log: object, grace: float = 0) -> int | None:
        started.append(list(command))
        status, text = turns.pop(0)
        if log is not None:
            log.write(text)  # type: ignore[attr-defined]
        return status

    monkeypatch.setattr(gpu, "run_process", run)


def names_in(command: list[str]) -> list[str]:
    known = {operation.name for operation in operations()}
    return [word for word in command if word in known]


def test_after_a_fault_the_rest_goes_on(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, started: list[list[str]]
) -> None:
    every = [operation.name for operation in operations()]
    turns: list[tuple[int | None, str]] = [
        (DEVICE_LOST, f"{every[0]}: 3 of 5 timed in 9.0 s\n"),
        (-11, f"{every[1]}: 3 of 5 timed in 9.0 s\n"),
        (0, "".join(f"{name}: 1 of 1 timed in 1.0 s\n" for name in every[3:])),
    ]
    pretend(monkeypatch, turns, started)
    good, note = run_bench(setup, 100.0)
    assert [names_in(command) for command in started] == [every, every[1:], every[3:]]
    assert not good
    assert f"crashed in {every[2]}" in note


def test_a_bench_without_faults(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, started: list[list[str]]
) -> None:
    every = [operation.name for operation in operations()]
    done = "".join(f"{name}: 1 of 1 timed in 1.0 s\n" for name in every)
    pretend(monkeypatch, [(0, done)], started)
    assert run_bench(setup, 100.0) == (True, "done")
    pretend(monkeypatch, [(None, f"{every[0]}: 1 of 1 timed in 1.0 s\n")], started)
    good, note = run_bench(setup, 100.0)
    assert not good
    assert note == f"not reached: {', '.join(every[1:])}"


class Pretended:
    """Instead of processes: notes each call's commands, prints what it is given, and says how they ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *turns: Sequence[tuple[int | None, str]]) -> None:
        self.turns = list(turns)
        self.commands: list[list[str]] = []
        monkeypatch.setattr(processes, "run_processes", self)

    def __call__(
        self, commands: list[list[str]], setup: Setup, seconds: float, logs: list[TextIO]
    ) -> list[int | None]:
        self.commands += commands
        turns = self.turns.pop(0)
        for log, (_, text) in zip(logs, turns, strict=True):
            log.write(text)
        return [status for status, _ in turns]


def test_tests_run_in_shares_and_those_of_the_bench_alone(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = [(0, "..s\n2 passed, 1 skipped in 3.21s\n"), (5, "3 deselected in 0.10s\n")]
    pretended = Pretended(monkeypatch, kernels, [(0, ".\n1 passed, 2 warnings in 65.00s (0:01:05)\n")])
    assert run_tests(setup, 10.0) == (True, "3 passed, 1 skipped in 2 processes")
    assert [command[2:5] for command in pretended.commands[:2]] == [
        ["tests/gpu/kernels", "--share", "0/2"],
        ["tests/gpu/kernels", "--share", "1/2"],
    ]
    assert pretended.commands[2][2] == "tests/gpu/benchmarks"
    text = setup.tests.read_text(encoding="utf-8")
    assert [text.count(said) for said in ("2 passed, 1 skipped", "3 deselected", "1 passed")] == [1, 1, 1]
    assert list(setup.out.iterdir()) == [setup.tests]


def test_failing_tests_are_told(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "..F\nFAILED tests/gpu/a.py::b - wrong\n=== 1 failed, 2 passed in 3.00s ===\n"
    Pretended(monkeypatch, [(0, "2 passed in 3.00s\n"), (1, wrong)], [(0, "1 passed in 1.00s\n")])
    assert run_tests(setup, 10.0) == (False, "1 failed, 5 passed in 2 processes")
    assert "FAILED tests/gpu/a.py::b - wrong" in capsys.readouterr().out


def test_what_was_printed_is_kept_when_time_is_up(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    Pretended(monkeypatch, [(0, "2 passed in 3.00s\n"), (None, "...\n")])
    good, note = run_tests(setup, 10.0)
    assert not good
    assert note.startswith("did not end in time, 2 passed")
    assert "...\n" in setup.tests.read_text(encoding="utf-8")


def test_what_was_printed_is_kept_when_interrupted(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(commands: object, setup: Setup, seconds: float, logs: list[TextIO]) -> list[int | None]:
        logs[1].write("....\n")
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "run_processes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tests(setup, 10.0)
    assert "....\n" in setup.tests.read_text(encoding="utf-8")


@pytest.mark.slow
def test_processes_run_side_by_side_and_end_together(setup: Setup, tmp_path: Path) -> None:
    """Two that wait for each other, one that fails, and one that goes on for too long."""
    meet = (
        "import pathlib, sys, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "(here / sys.argv[1]).touch()\n"
        "while not (here / sys.argv[2]).exists(): time.sleep(0.01)\n"
    )
    commands = [
        ["-c", meet, "a", "b"],
        ["-c", meet, "b", "a"],
        ["-c", "raise SystemExit(3)"],
        ["-c", meet, "c", "never"],
    ]
    assert run_processes(commands, setup, 8.0, [None] * 4, grace=0.2) == [0, 0, 3, None]


SHARED = """
import sys
sys.path.insert(0, "tests/gpu")
from conftest import share_of, shared
lists = [shared(list(range(20)), share_of(f"{i}/3")) for i in range(3)]
assert sorted(sum(lists, [])) == list(range(20)), lists
assert [part[0] for part in lists] == [0, 7, 14], lists
assert shared([7], (2, 3)) == []
"""


@pytest.mark.slow
def test_shares_are_all_tests_once(repository: Path) -> None:
    subprocess.run([sys.executable, "-c", SHARED], cwd=repository, check=True, timeout=600)


@pytest.mark.slow
def test_a_share_that_is_none_is_refused(repository: Path) -> None:
    command = [sys.executable, "-m", "pytest", "tests/gpu/kernels", "--share", "3/3"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=600)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "expected I/N with I from 0 to N - 1, got '3/3'" in done.stderr


def test_the_summary_counts_this_run(make_record: MakeRecord, tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    assert summary(file, "H100", "2026") == ["nothing was measured"]
    then, now = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
    records = [
        make_record(case="old", time=then),
        make_record(time=now),
        make_record("sdpa flash", None, time=now),
        make_record("xformer triton", None, case="another", status="wrong", time=now),
    ]
    append(file, records)
    lines = summary(file, records[0].environment.device, now)
    (attention,) = [line for line in lines if line.startswith("attention ")]
    assert attention.split()[:5] == ["attention", "2", "1", "1", "1"]
    assert attention.endswith("xformer triton in another")
    assert any(line.startswith("layer-norm-torch") and "not measured" in line for line in lines)


@pytest.mark.parametrize("failing", [[], ["tests"], ["bench"]])
def test_every_stage_runs_and_a_failure_shows_in_the_status(
    failing: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    def stage(name: str) -> Callable[[Setup, float], tuple[bool, str]]:
        def run(setup: Setup, seconds: float) -> tuple[bool, str]:
            ran.append((name, seconds))
            return name not in failing, "said"

        return run

    monkeypatch.setattr(gpu, "run_tests", stage("tests"))
    monkeypatch.setattr(gpu, "run_bench", stage("bench"))
    assert gpu.main(["--cpu", "--seconds", "100", "--out", str(tmp_path)]) == int(bool(failing))
    assert [name for name, _ in ran] == ["tests", "bench"]
    # The bench may use what the tests left over.
    assert ran[1][1] > 0.9 * (100 - MARGIN)
    assert "nothing was measured" in capsys.readouterr().out


def test_an_interrupted_call_still_sums_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(setup: Setup, seconds: float) -> tuple[bool, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu, "run_tests", interrupted)
    assert gpu.main(["--cpu", "--out", str(tmp_path)]) == 130
    assert "nothing was measured" in capsys.readouterr().out


@pytest.mark.slow
def test_the_worker_writes_what_it_measures(tmp_path: Path, repository: Path) -> None:
    """The real thing, on a CPU, small: records in the file, and a line that says so."""
    file = tmp_path / "records.jsonl"
    command = [
        sys.executable,
        "-P",
        "-m",
        "xformer.benchmarks.kernels.worker",
        "glu",
        "--out",
        str(file),
        "--quick",
    ]
    command += [
        "--cpu",
        "--no-ceilings",
        "--rounds",
        "3",
        "--case-budget",
        "0.01",
        "--implementation",
        "eager",
    ]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=600, check=True)
    assert done.stderr.splitlines()[-1].startswith("glu: ")
    records = read(file)
    assert {record.implementation for record in records} == {"eager"}
    assert all(record.status == "ok" and record.seconds for record in records)
    assert all(record.roofline_share is None for record in records), "without ceilings there is no roof"
    assert json.loads(file.read_text(encoding="utf-8").splitlines()[0])["operation"] == "glu"
