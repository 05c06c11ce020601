"""The bench of company, with workers that only print.

Covers bench, command and worker of xformer.benchmarks.company.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from xformer.benchmarks.company import bench
from xformer.benchmarks.company.bench import Measured, Side, Tree, compare, measure_all
from xformer.benchmarks.company.command import CompanyBench
from xformer.errors import InputError

_WORKER = """
import json, os, sys
work, run, seconds = sys.argv[1:]
if work == "evaluate":
    raise SystemExit("no such text")
here = os.environ["PYTHONPATH"].split(os.pathsep)[0].endswith("here")
print("something else")
print(json.dumps({"per_s": 4000.0 if here else 1000.0, "threads": 1 if here else 2,
                  "omp": os.environ.get("OMP_NUM_THREADS")}))
"""


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Side, Tree]:
    """Two trees, and a worker that knows which is which."""
    worker = tmp_path / "worker.py"
    worker.write_text(_WORKER, encoding="utf-8")
    monkeypatch.setattr(bench, "_WORKER", worker)
    for name in ("base", "here", "run/shards"):
        (tmp_path / name / "xformer").mkdir(parents=True)
    return {
        "base": Tree("old", tmp_path / "base", tmp_path),
        "here": Tree("here", tmp_path / "here", tmp_path),
    }


def test_sides_take_turns_and_a_failure_is_kept(trees: dict[Side, Tree], tmp_path: Path) -> None:
    os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
    found = list(measure_all(trees, [0, 1], ["train", "evaluate"], rounds=2))
    train = [one for one in found if one.work == "train" and one.company == 1]
    assert [one.side for one in train] == ["base", "here", "here", "base"]
    assert [one.per_s for one in train] == [1000.0, 4000.0, 4000.0, 1000.0]
    assert train[0].note == "threads 2", "OMP_NUM_THREADS is not passed on"
    failed = [one for one in found if one.work == "evaluate"]
    assert {one.per_s for one in failed} == {None}
    assert "no such text" in failed[0].note


def test_a_worker_that_takes_too_long_is_ended(trees: dict[Side, Tree], tmp_path: Path) -> None:
    bench._WORKER.write_text("import time\ntime.sleep(600)\n", encoding="utf-8")
    (one, _) = measure_all(trees, [0], ["train"], rounds=1, limit=0.5)
    assert one.note == "error not done after 0.5 s"


def test_medians_are_compared_with_the_goals() -> None:
    rates: list[tuple[int, Side, float | None]] = [
        (0, "base", 100.0), (0, "here", 99.0), (1, "base", 10.0), (1, "base", 20.0), (1, "base", 30.0),
        (1, "here", 90.0), (2, "base", 10.0), (2, "here", None),
    ]  # fmt: skip
    found = compare([Measured("train", company, side, rate) for company, side, rate in rates])
    assert [(one.company, one.ratio, one.met) for one in found] == [
        (0, 0.99, False),
        (1, 4.5, True),
        (2, None, False),
    ]


def test_the_command_writes_a_record(
    trees: dict[Side, Tree],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "company.json"
    command: dict[str, Any] = {"base": str(tmp_path / "base"), "company": (0,), "rounds": 1, "out": out}
    status = CompanyBench(tmp_path / "run", work=("train",), json=True, **command).run_command()
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads(out.read_text(encoding="utf-8"))
    assert status == int(not record["compared"][0]["met"])
    assert {one["side"] for one in record["measured"]} == {"base", "here"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": Path("nowhere")}, "nowhere: expected a prepared run"),
        ({"rounds": 0}, "--rounds: expected at least 1"),
        ({"seconds": 0.5}, "--seconds: expected at least 1"),
        ({"company": (-1,)}, "--company: expected numbers from 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    changes: dict[str, Any], message: str, trees: dict[Side, Tree], tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"run": tmp_path / "run", "out": tmp_path / "company.json"} | changes
    with pytest.raises(InputError, match=message):
        CompanyBench(**arguments).run_command()
