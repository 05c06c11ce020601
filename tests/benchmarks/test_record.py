"""Records: what is written is read back, and what isn't a record is named."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from xformer.benchmarks.record import Environment, Record, append, environment, read

WHERE = Environment("Größer CPU @ 2.0 GHz", 2, "abc1234+", "3.12.1", "2.13.0", None)
RECORD = Record(
    benchmark="attention",
    case="ragged 8",
    shape={"lengths": [3, 2], "n_heads": 4},
    dtype="float32",
    direction="forward",
    implementation="xformer torch",
    status="ok",
    note="",
    error=1e-7,
    error_multiple=0.9,
    seconds={"p20": 1e-3, "p50": 2e-3, "p80": 3e-3},
    rounds=30,
    tokens_per_second=2500.0,
    flops_per_second=1e9,
    environment=WHERE,
)


def test_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "new" / WHERE.file_name
    wrong = replace(RECORD, status="wrong", seconds=None, error_multiple=None)
    append(file, [RECORD])
    append(file, [wrong, RECORD])
    assert read(file) == [RECORD, wrong, RECORD]


def test_file_name_is_the_device() -> None:
    assert WHERE.file_name == "gr-er-cpu-2-0-ghz.jsonl"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"some\.jsonl:2: "),
        ("[]", r"some\.jsonl:2: .*missing .*'benchmark'"),
        (json.dumps({**json.loads(RECORD.to_json()), "colour": 1}), r":2: .*unknown \['colour'\]"),
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
    assert here.python == platform.python_version()
    assert here.torch == torch.__version__
    assert here.file_name.endswith(".jsonl")
    in_checkout = (repository / ".git").exists()
    assert (here.commit != "unknown") == in_checkout
