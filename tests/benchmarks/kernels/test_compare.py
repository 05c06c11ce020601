"""Comparisons: intervals of medians, verdicts, and two trees in turns."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from xformer.benchmarks.kernels import base
from xformer.benchmarks.kernels.base import NEEDED, interleave, repository_of, worktree
from xformer.benchmarks.kernels.compare import (
    Comparison,
    compare_records,
    compare_rounds,
    comparison_table,
    median_interval,
    quantile_interval,
    regressions,
)
from xformer.benchmarks.kernels.record import Record
from xformer.errors import InputError

MakeRecord = Callable[..., Record]


@pytest.mark.parametrize(
    ("n", "low", "high"),
    # Published tables of 95% confidence intervals for a median: ranks of the ordered values.
    [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (12, 3, 10), (15, 4, 12), (20, 6, 15), (30, 10, 21)],
)
def test_median_intervals_are_the_tabled_ones(n: int, low: int, high: int) -> None:
    values = list(range(1, n + 1))
    random.shuffle(values)
    found = median_interval(values)
    assert (found.low, found.high) == (low, high)
    assert found.middle == (n + 1) / 2


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_values_have_no_interval(n: int) -> None:
    found = median_interval([1.0] * n)
    assert (found.low, found.middle, found.high) == (0.0, 1.0, math.inf)


def test_median_intervals_hold_the_median_as_often_as_they_say() -> None:
    draw = random.Random(0)
    intervals = [median_interval([draw.expovariate(1.0) for _ in range(10)]) for _ in range(4000)]
    inside = sum(one.low <= math.log(2) <= one.high for one in intervals) / len(intervals)
    assert 0.97 < inside < 0.99  # 1 - 2 (1 + 10) / 1024 = 0.9785


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60))
def test_the_median_lies_inside(values: list[float]) -> None:
    found = median_interval(values)
    assert found.low <= found.middle <= found.high


def test_quantiles_give_an_interval_that_narrows_with_rounds() -> None:
    quantiles = {"p20": 8.0, "p50": 10.0, "p80": 13.0}
    assert quantile_interval(quantiles, 10).high == math.inf
    wide, narrow = quantile_interval(quantiles, 25), quantile_interval(quantiles, 400)
    assert 8.0 < wide.low < narrow.low < 10.0 < narrow.high < wide.high < 13.0
    # 0.98 / 20 = 0.049 of the quantiles' 0.3.
    assert narrow.low == pytest.approx(10 - 2 * 0.049 / 0.3)


def verdicts(found: list[Comparison]) -> dict[str, str]:
    return {one.key.case: one.verdict for one in found}


def test_verdicts(make_record: MakeRecord) -> None:
    before = [
        make_record(case="slower"),
        make_record(case="faster"),
        make_record(case="same"),
        make_record(case="broken"),
        make_record(case="mended", seconds=None, status="wrong"),
        make_record(case="gone"),
        make_record(case="never", seconds=None, status="unsupported"),
    ]
    after = [
        make_record(case="slower", seconds=1.05e-3),
        make_record(case="faster", seconds=0.95e-3),
        make_record(case="same", seconds=1.001e-3),
        make_record(case="broken", seconds=None, status="wrong", note="far off"),
        make_record(case="mended"),
        make_record(case="new"),
        make_record(case="never", seconds=None, status="unsupported"),
    ]
    found = compare_records(before, after)
    expected = {name: name for name in ("slower", "faster", "same", "broken", "mended")}
    assert verdicts(found) == expected | dict.fromkeys(("gone", "new", "never"), "unmeasured")
    assert regressions(found) == 2
    by_case = {one.key.case: one for one in found}
    assert by_case["broken"].note == "wrong: far off"
    assert by_case["slower"].ratio is not None
    assert by_case["slower"].ratio.middle == pytest.approx(1.05)
    assert by_case["slower"].ratio.low > 1
    console = Console(width=100, record=True, file=StringIO())
    console.print(comparison_table(found, "old", "new"))
    text = console.export_text()
    for name in ("slower", "faster", "same", "broken", "mended", "gone", "new"):
        assert f"attention: {name}, bfloat16" in text
    assert "never" not in text, "what has no time on either side is no row"
    assert "3 compared, 2 regressions" in text
    assert "wrong: far off" in text


def test_other_implementations_and_directions_are_other_measurements(make_record: MakeRecord) -> None:
    before = [make_record("a"), make_record("b"), make_record("a", direction="backward")]
    after = [make_record("a"), make_record("b", 2e-3), make_record("a", direction="backward")]
    found = compare_records(before, after)
    assert [(one.key.implementation, one.key.direction, one.verdict) for one in found] == [
        ("a", "backward", "same"),
        ("a", "forward", "same"),
        ("b", "forward", "slower"),
    ]


def rounds_of(make: MakeRecord, times: Sequence[float | None]) -> list[list[Record]]:
    return [[make(seconds=time)] for time in times]


def test_rounds_are_compared_by_their_medians(make_record: MakeRecord) -> None:
    noisy = [1.0, 1.3, 0.9, 1.1, 1.2, 1.0, 1.1, 0.95]
    same = compare_rounds(rounds_of(make_record, noisy), rounds_of(make_record, noisy[::-1]))
    assert verdicts(same) == {"dense d64 N=512": "same"}
    # Ten percent slower, but not beyond the noise of the first.
    slower = [1.1 * time for time in noisy]
    assert regressions(compare_rounds(rounds_of(make_record, noisy), rounds_of(make_record, slower))) == 0
    apart = [1.5 * time for time in noisy]
    found = compare_rounds(rounds_of(make_record, noisy), rounds_of(make_record, apart))
    assert verdicts(found) == {"dense d64 N=512": "slower"}
    back = compare_rounds(rounds_of(make_record, apart), rounds_of(make_record, noisy))
    assert verdicts(back) == {"dense d64 N=512": "faster"}


def test_too_few_rounds_tell_nothing(make_record: MakeRecord) -> None:
    found = compare_rounds(rounds_of(make_record, [1.0] * 5), rounds_of(make_record, [9.0] * 5))
    assert verdicts(found) == {"dense d64 N=512": "same"}
    values = json.loads(found[0].to_json())
    assert values["ratio"] == {"low": None, "median": 9.0, "high": None}
    assert values["verdict"] == "same"


def test_wrong_in_one_round_is_wrong(make_record: MakeRecord) -> None:
    times = [1.0] * 7
    found = compare_rounds(rounds_of(make_record, times), rounds_of(make_record, [*times[:6], None]))
    assert verdicts(found) == {"dense d64 N=512": "broken"}


# A checkout with a package whose "kernel" takes as long as a file says, and a bench that reports it.
BENCH = """
import pathlib, sys
from xformer.speed import SECONDS
line = pathlib.Path(__file__).with_name("record.json").read_text(encoding="utf-8")
sys.stdout.write(line.replace('"TIME"', str(SECONDS)) + "\\n")
"""


@pytest.fixture
def checkout(tmp_path: Path, make_record: MakeRecord) -> Path:
    root = tmp_path / "checkout"
    (root / "xformer").mkdir(parents=True)
    (root / "benchmarks").mkdir()
    (root / "xformer/benchmarks").symlink_to("../benchmarks")
    (root / "xformer/__init__.py").write_text("", encoding="utf-8")
    (root / "xformer/speed.py").write_text("SECONDS = 1.0\n", encoding="utf-8")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    line = make_record().to_json().replace('"p50": 0.001', '"p50": "TIME"')
    (root / "benchmarks/record.json").write_text(line, encoding="utf-8")
    (root / "benchmarks/turn.py").write_text(BENCH, encoding="utf-8")
    return root


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_two_trees_in_turns(checkout: Path) -> None:
    (checkout / "xformer/speed.py").write_text("SECONDS = 1.5\n", encoding="utf-8")
    turns: list[tuple[str, int, int | None]] = []
    with worktree("HEAD", checkout) as before:
        assert (before / "xformer/speed.py").read_text(encoding="utf-8") == "SECONDS = 1.0\n"
        assert (before / "benchmarks/turn.py").exists(), "the bench is this tree's on both sides"
        found = interleave(
            before, checkout, ["-m", "xformer.benchmarks.turn"], 6, lambda *turn: turns.append(turn)
        )
    assert not before.exists()
    assert git(checkout, "worktree", "list").count("\n") == 0
    assert [len(side) for side in found] == [6, 6]
    assert turns == [("rounds", n, 12) for n in range(13)]
    (one,) = compare_rounds(*found)
    assert one.verdict == "slower"
    assert one.ratio is not None
    assert one.ratio.middle == pytest.approx(1.5)


def test_an_older_tree_gets_what_the_bench_needs(checkout: Path) -> None:
    """A revision without the fp64 rule gets this tree's; what it has of its own stays."""
    rule, positions = NEEDED
    for name in NEEDED:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / positions).write_text("OLD = True\n", encoding="utf-8")
    git(checkout, "add", positions)
    git(checkout, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "second")
    for name in NEEDED:
        (checkout / name).write_text("NEW = True\n", encoding="utf-8")
    with worktree("HEAD", checkout) as before:
        assert (before / rule).read_text(encoding="utf-8") == "NEW = True\n"
        assert (before / positions).read_text(encoding="utf-8") == "OLD = True\n"


def test_the_bench_needs_no_other_file_of_the_kernels() -> None:
    """Beside the operations, which are exported by `xformer.kernels`, and the ladder, which is measured."""
    root = Path(base.__file__).resolve().parents[2]
    sources = [file.read_text(encoding="utf-8") for file in (root / "benchmarks").rglob("*.py")]
    found = {name for text in sources for name in re.findall(r"from xformer\.(kernels\.[\w.]+) import", text)}
    assert found - {"kernels.ladder"} == {name.removesuffix(".py").replace("/", ".") for name in NEEDED}
    for name in NEEDED:
        text = (root / name).read_text(encoding="utf-8")
        own = set(re.findall(r"^\s*from (\.[\w.]*|xformer[\w.]*) import", text, re.MULTILINE))
        assert own <= {".backend"}, "what an older tree may lack as well"


def test_a_tree_is_removed_when_something_fails(checkout: Path) -> None:
    with pytest.raises(RuntimeError, match="no_such_module"), worktree("HEAD", checkout) as before:
        interleave(before, checkout, ["-m", "xformer.no_such_module"], 6)
    assert not before.parent.exists()
    assert git(checkout, "worktree", "list").count("\n") == 0


def test_bad_input(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no-such-branch"), worktree("no-such-branch", checkout):
        pass
    with pytest.raises(InputError, match="rounds: expected at least 6"):
        interleave(checkout, checkout, ["-c", ""], 5)
    with pytest.raises(InputError, match="checkout"):
        repository_of(tmp_path)
    assert repository_of(checkout / "xformer/speed.py") == checkout


def test_the_interpreter_is_this_one(checkout: Path) -> None:
    (checkout / "benchmarks/where.py").write_text(
        "import sys, xformer\nsys.exit(f'{sys.executable} {xformer.__file__}')\n", encoding="utf-8"
    )
    with worktree("HEAD", checkout) as before, pytest.raises(RuntimeError) as failed:
        interleave(before, checkout, ["-m", "xformer.benchmarks.where"], 6)
    assert f"{sys.executable} {before}/xformer/__init__.py" in str(failed.value)
