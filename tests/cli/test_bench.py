"""`xformer bench`: help, measuring, goals, comparisons, the report.

Covers all of xformer.cli.bench.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from xformer.benchmarks.environment import environment
from xformer.benchmarks.kernels import base, worker
from xformer.benchmarks.kernels import run as run_module
from xformer.benchmarks.kernels.operations import operations
from xformer.benchmarks.kernels.record import Record, append, read
from xformer.cli.bench.measure import OperationName

Run = Callable[..., tuple[int, str, str]]

OPERATIONS = [name for name in get_args(OperationName) if name != "all"]
COMMANDS = ["", "all", *OPERATIONS, "compile", "goals", "compare", "report", "page"]

# One process for all: what one command's help imports, it imports for those after it as well.
SCRIPT = """
import contextlib, io, json, sys
from xformer.cli import main

found = {}
for command in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            main(["bench", *command.split(), "--help"])
        except SystemExit as exit:
            status = exit.code
    found[command] = [status, out.getvalue()]
heavy = [name for name in ("torch", "triton", "numpy", "matplotlib") if name in sys.modules]
print(json.dumps({"found": found, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def helped() -> dict[str, Any]:
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(COMMANDS)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def test_help_imports_nothing_heavy(helped: dict[str, Any]) -> None:
    assert helped["heavy"] == []


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_help_shows_how_it_is_used(command: str, helped: dict[str, Any]) -> None:
    status, out = helped["found"][command]
    assert status == 0
    examples = out.partition(f"usage: xformer bench {command}")[2]
    assert f"\nxformer bench {command}" in examples
    assert command in helped["found"][""][1]


def test_every_operation_has_a_command() -> None:
    names = {operation.name.replace("_", "-") for operation in operations()}
    assert names == set(OPERATIONS)


@pytest.fixture
def here() -> Record:
    """A record of this machine."""
    return Record(
        operation="glu",
        sweep="some",
        case="some F=8",
        shape={"width": 8},
        dtype="float32",
        direction="forward",
        implementation="xformer torch",
        status="ok",
        note="",
        error=1e-7,
        error_multiple=1.0,
        seconds={"p20": 0.9e-3, "p50": 1e-3, "p80": 1.1e-3},
        cold_seconds=None,
        launch_seconds=None,
        peak_bytes=None,
        flops=1e6,
        bytes=1e6,
        flops_per_second=1e9,
        bytes_per_second=1e9,
        roofline_share=None,
        rounds=100,
        environment=environment(torch.device("cpu")),
    )


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No large copy or product first."""
    begin = run_module.begin

    def quick(device: Any = None) -> run_module.Session:
        session = begin(device)
        session.bytes_per_second = 1e12
        session.flops_per_second = dict.fromkeys(run_module.DTYPES, 1e12)
        return session

    monkeypatch.setattr(run_module, "begin", quick)


@pytest.mark.usefixtures("unbounded")
def test_measuring_adds_records(xformer: Run, tmp_path: Path) -> None:
    options = ("--quick", "--cpu", "--case-budget", "0.01", "--implementation", "eager", "--out", tmp_path)
    status, out, _ = xformer("bench", "glu", *options)
    assert status == 0
    (file,) = tmp_path.iterdir()
    records = read(file)
    assert {record.implementation for record in records} == {"eager"}
    assert records[0].case in out
    assert str(file) in out.replace("\n", "")
    status, out, _ = xformer("bench", "glu", *options, "--json")
    assert status == 0
    printed = [Record.from_json(line) for line in out.splitlines()]
    assert read(file) == records + printed


@pytest.mark.parametrize(
    ("implementation", "wrong", "expected"),
    [("xformer torch", "wrong", 1), ("xformer triton", "failed", 1), ("eager", "wrong", 0)],
)
@pytest.mark.usefixtures("unbounded")
def test_the_status_says_whether_ours_are_right(
    implementation: str,
    wrong: Any,
    expected: int,
    xformer: Run,
    here: Record,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = replace(here, implementation=implementation, status=wrong, seconds=None, note="far off")
    monkeypatch.setattr(run_module, "run", lambda *_: iter([here, bad]))
    status, out, _ = xformer("bench", "glu", "--out", tmp_path)
    assert status == expected
    assert wrong.upper() in out


def test_bad_options(xformer: Run, tmp_path: Path) -> None:
    for arguments, message in (
        (("glu", "--budget", "0"), "budget: expected more than 0"),
        (("compare", "a.jsonl"), "got 1 file(s)"),
        (("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl"), "a.jsonl: no such file"),
        (("compare", "a.jsonl", "b.jsonl", "--base", "main"), "got both"),
        (("report", "--results", tmp_path), "no records"),
        (("glu", "--base", "no-such-revision"), "no-such-revision"),
    ):
        status, out, err = xformer("bench", *arguments)
        assert (status, out) == (2, ""), arguments
        assert message in err
        assert "Traceback" not in err


def test_goals(xformer: Run, tmp_path: Path) -> None:
    status, out, _ = xformer("bench", "goals", "--json", "--results", tmp_path)
    assert status == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == len({one["goal"] for one in found}) == 18
    for one in found:
        assert {"goal", "wanted", "measured", "met", "device", "record"} <= set(one)
        assert (one["measured"], one["met"]) == (None, False)
    status, out, _ = xformer("bench", "goals", "--results", tmp_path)
    assert status == 0
    assert "0 of 18 met, 18 not measured" in out


@pytest.mark.slow
def test_who_has_read_enough_may_stop(tmp_path: Path) -> None:
    """As `| head` does: no traceback, and the status that shells know."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "xformer", "bench", "goals", "--json", "--results", str(tmp_path)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_broken_record_is_named(xformer: Run, tmp_path: Path) -> None:
    (tmp_path / "some.jsonl").write_text("{}\n", encoding="utf-8")
    for command in ("goals", "report"):
        status, _, err = xformer("bench", command, "--results", tmp_path)
        assert status == 2
        assert "some.jsonl:1: " in err


def test_comparing_files(xformer: Run, here: Record, tmp_path: Path) -> None:
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    append(before, [here])
    slow = {name: 2 * seconds for name, seconds in (here.seconds or {}).items()}
    append(after, [replace(here, seconds=slow)])
    status, out, _ = xformer("bench", "compare", before, after)
    assert status == 1
    assert "slower" in out
    assert "1 compared, 1 regression" in out
    status, out, _ = xformer("bench", "compare", before, before, "--json")
    assert status == 0
    assert json.loads(out)["verdict"] == "same"
    status, out, _ = xformer("bench", "compare", after, before, "--json")
    assert status == 0
    assert json.loads(out)["verdict"] == "faster"


@pytest.mark.parametrize(
    "arguments", [("glu", "--base", "main"), ("compare", "--base", "main", "--operation", "glu")]
)
def test_against_a_base(
    arguments: tuple[str, ...], xformer: Run, here: Record, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Any] = []

    @contextmanager
    def worktree(revision: str, repository: Path) -> Iterator[Path]:
        asked.append(revision)
        yield tmp_path

    def interleave(before: Path, after: Path, command: list[str], rounds: int, progress: Any) -> Any:
        asked.append((before, after, command, rounds))
        slow = {name: 2 * seconds for name, seconds in (here.seconds or {}).items()}
        return [[here]] * rounds, [[replace(here, seconds=slow)]] * rounds

    monkeypatch.setattr(base, "worktree", worktree)
    monkeypatch.setattr(base, "interleave", interleave)
    status, out, _ = xformer("bench", *arguments, "--quick", "--only", "F", "--rounds", "7")
    assert status == 1
    assert "slower" in out
    revision, (before, after, command, rounds) = asked
    assert (revision, before, rounds) == ("main", tmp_path, 7)
    assert (after / "xformer" / "cli" / "bench" / "command.py").exists()
    assert command[:2] == ["-m", "xformer.benchmarks.kernels.worker"]
    parsed = worker.parse(command[2:])
    assert parsed.operations == ["glu"]
    assert (parsed.quick, parsed.only, parsed.no_ceilings, parsed.out) == (True, "F", True, None)
    assert parsed.implementation == ["xformer triton", "xformer torch"]


def test_the_report(xformer: Run, here: Record, tmp_path: Path) -> None:
    append(tmp_path / "results" / here.environment.file_name, [here])
    status, out, _ = xformer("bench", "report", "--results", tmp_path / "results", "--out", tmp_path / "out")
    assert status == 0
    written = [Path(line) for line in out.splitlines() if line.startswith(str(tmp_path))]
    assert all(path.exists() for path in written)
    assert written[-1] == tmp_path / "out" / "index.html"
    assert "some F=8" in written[-1].read_text(encoding="utf-8")


def test_compile_hands_on_what_it_is_asked(xformer: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from xformer.kernels.compile import check as compile_check

    asked: list[Any] = []

    def report(targets: Any, kernel: str, *, as_json: bool, jobs: int | None) -> int:
        asked.append(([target.name for target in targets], kernel, as_json, jobs))
        return 1

    monkeypatch.setattr(compile_check, "report", report)
    assert xformer("bench", "compile")[0] == 1
    xformer("bench", "compile", "--target", "sm_90", "--target", "gfx942", "--kernel", "norm", "--json")
    xformer("bench", "compile", "--jobs", "1")
    every = ["sm_80", "sm_90", "sm_100", "gfx942"]
    assert asked == [
        (every, "", False, None),
        (["sm_90", "gfx942"], "norm", True, None),
        (every, "", False, 1),
    ]
