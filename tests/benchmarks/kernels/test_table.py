"""Records for people."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from xformer.benchmarks.environment import Environment
from xformer.benchmarks.kernels.record import Record
from xformer.benchmarks.kernels.table import by_case, heading, short, table

WHERE = Environment(
    "Some CPU", "cpu", 2**34, 2, {}, None, None, "abc1234", True, "3.12.1", "2.13.0", "3.9.0", False, {},
    "now",
)  # fmt: skip
OK = Record(
    operation="attention",
    sweep="dense d64",
    case="dense d64 N=128",
    shape={"max_length": 1280, "causal": False},
    dtype="float32",
    direction="forward",
    implementation="fast",
    status="ok",
    note="",
    error=1e-7,
    error_multiple=0.9,
    seconds={"p20": 1e-3, "p50": 2e-3, "p80": 3e-3},
    cold_seconds={"p20": 4e-3, "p50": 5e-3, "p80": 6e-3},
    launch_seconds=12.3e-6,
    peak_bytes=3 * 2**20,
    flops=4e9,
    bytes=1e3,
    flops_per_second=8e11,
    bytes_per_second=2e5,
    roofline_share=0.456,
    rounds=30,
    environment=WHERE,
)
UNTIMED: dict[str, Any] = {
    "seconds": None, "cold_seconds": None, "launch_seconds": None, "peak_bytes": None,
    "flops_per_second": None, "bytes_per_second": None, "roofline_share": None,
}  # fmt: skip


def printed(records: list[Record]) -> str:
    console = Console(file=StringIO(), width=120, color_system=None)
    console.print(table(records))
    found = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(found, str)
    return found


def line(text: str, name: str) -> list[str]:
    (found,) = [each for each in text.splitlines() if each.strip().startswith(name) and ":" not in each]
    return found.split()


def test_a_row_has_all_there_is_to_know() -> None:
    text = printed([OK])
    assert "attention: dense d64 N=128, float32" in text
    assert "max_length 1,280" in text
    assert "causal" not in text, "options that are off are not worth a word"
    assert line(text, "fast") == [
        "fast",
        "2.00",
        "(1.00–3.00)",
        "5.00",
        "12.3",
        "800GFLOP/s",
        "46%",
        "3.00",
        "0.90",
    ]


def test_without_operations_the_rate_is_memorys() -> None:
    assert "200kB/s" in printed([replace(OK, flops_per_second=0.0)])


def test_failures_are_no_numbers() -> None:
    wrong = replace(
        OK, implementation="bad", status="wrong", note="out is 7 times …", error_multiple=7.0, **UNTIMED
    )
    cannot = replace(OK, implementation="other", status="unsupported", note="no CPU kernel", **UNTIMED)
    text = printed([OK, wrong, cannot])
    assert line(text, "bad") == ["bad", "WRONG", "7.00"]
    assert line(text, "other") == ["other", "–"]
    assert "bad: out is 7 times …" in text
    assert "other: no CPU kernel" in text


def test_directions_apart() -> None:
    text = printed([OK, replace(OK, direction="backward")])
    rows = [each.strip() for each in text.splitlines()]
    assert rows.index("forward") < rows.index("backward")
    assert "forward" not in [each.strip() for each in printed([OK]).splitlines()]


def test_who_is_absent() -> None:
    absent = replace(
        OK, case="", implementation="liger", status="absent", note="liger-kernel is not installed"
    )
    assert printed([absent]).strip() == "attention: no liger, liger-kernel is not installed"


def test_records_of_a_case_stay_together() -> None:
    other = replace(OK, case="dense d64 N=8")
    groups = list(
        by_case(iter([OK, replace(OK, direction="backward"), other, replace(other, dtype="bfloat16")]))
    )
    assert [len(group) for group in groups] == [2, 1, 1]


def test_heading() -> None:
    assert (
        heading(WHERE).splitlines()[0]
        == "Some CPU, 2 CPU threads, torch 2.13.0, Triton 3.9.0, commit abc1234+"
    )
    gpu = replace(WHERE, kind="cuda", device="Some GPU", dirty=False, triton=None)
    assert heading(gpu).splitlines()[0] == "Some GPU, torch 2.13.0, no Triton, commit abc1234"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01234, "0.012"),
        (4.561, "4.56"),
        (12.34, "12.3"),
        (789.1, "789"),
        (12_340, "12.3k"),
        (999_960, "1.00M"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    assert short(value) == text
