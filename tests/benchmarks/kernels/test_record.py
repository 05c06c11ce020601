"""Records: what is written is read back, and what isn't a record is named."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from xformer.benchmarks import environment as module
from xformer.benchmarks.environment import Environment, clocks, environment
from xformer.benchmarks.kernels.record import Record, append, read

WHERE = Environment(
    device="Größer CPU @ 2.0 GHz",
    kind="cpu",
    memory_bytes=2**34,
    threads=2,
    clocks={"cpu": 2000.0},
    driver=None,
    cuda=None,
    commit="abc1234",
    dirty=True,
    python="3.12.1",
    torch="2.13.0",
    triton=None,
    interpreted=False,
    peers={},
    time="2026-01-01T00:00:00+00:00",
)
RECORD = Record(
    operation="attention",
    sweep="ragged d64",
    case="ragged d64 messages",
    shape={"n_sequences": 3, "causal": False},
    dtype="float32",
    direction="forward",
    implementation="xformer torch",
    status="ok",
    note="",
    error=1e-7,
    error_multiple=0.9,
    seconds={"p20": 1e-3, "p50": 2e-3, "p80": 3e-3},
    cold_seconds=None,
    launch_seconds=1e-5,
    peak_bytes=1024,
    flops=2e6,
    bytes=1e3,
    flops_per_second=1e9,
    bytes_per_second=5e5,
    roofline_share=0.5,
    rounds=30,
    environment=WHERE,
)


def test_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "new" / WHERE.file_name
    wrong = replace(RECORD, status="wrong", seconds=None, error_multiple=None)
    append(file, [RECORD])
    append(file, [wrong, RECORD])
    assert read(file) == [RECORD, wrong, RECORD]


@pytest.mark.parametrize("torn", ['{"operation": "att', "x" * 200_000])
def test_a_run_cut_off_in_the_middle_of_a_line(torn: str, tmp_path: Path) -> None:
    """What was whole stays, and what comes after begins on a line of its own."""
    file = tmp_path / "some.jsonl"
    append(file, [RECORD])
    with file.open("a", encoding="utf-8") as handle:
        handle.write(torn)
    assert read(file) == [RECORD]
    append(file, [RECORD])
    assert read(file) == [RECORD, RECORD]
    file.write_text(torn, encoding="utf-8")
    append(file, [RECORD])
    assert read(file) == [RECORD]


def test_best_median_is_cold_where_known() -> None:
    assert RECORD.best_median == 2e-3
    assert replace(RECORD, cold_seconds={"p20": 2.0, "p50": 4.0, "p80": 5.0}).best_median == 4.0
    assert replace(RECORD, seconds=None).best_median is None


def test_file_name_is_the_device() -> None:
    assert WHERE.file_name == "gr-er-cpu-2-0-ghz.jsonl"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"some\.jsonl:2: "),
        ("[]", r"some\.jsonl:2: .*missing .*'operation'"),
        (json.dumps({**json.loads(RECORD.to_json()), "colour": 1}), r":2: .*unknown \['colour'\]"),
        (json.dumps({**json.loads(RECORD.to_json()), "environment": {}}), r":2: .*environment: missing"),
    ],
)
def test_a_broken_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text(f"{RECORD.to_json()}\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read(file)


def test_environment_describes_this_machine(repository: Path) -> None:
    here = environment(torch.device("cpu"))
    assert here.device
    assert here.kind == "cpu"
    assert here.memory_bytes > 2**28
    assert here.python == platform.python_version()
    assert here.torch == torch.__version__
    assert here.file_name.endswith(".jsonl")
    in_checkout = (repository / ".git").exists()
    assert (here.commit != "unknown") == in_checkout


def test_clocks_of_a_gpu_are_read_from_its_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the very GPU, and what the tool calls `[N/A]` is left out."""
    asked: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: object) -> SimpleNamespace:
        asked.append(command)
        return SimpleNamespace(stdout="1980, 2619, [N/A], 2619\n")

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="12-ab"))
    monkeypatch.setattr(module.subprocess, "run", run)
    gpu = torch.device("cuda")
    assert clocks(gpu) == {"sm": 1980.0, "memory": 2619.0, "memory_max": 2619.0}
    assert asked[0][-2:] == ("-i", "GPU-12-ab")

    def missing(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(9, "nvidia-smi")

    monkeypatch.setattr(module.subprocess, "run", missing)
    assert clocks(gpu) == {}
