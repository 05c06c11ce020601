"""Bursts of two trees take turns, and their ratio has an interval.

Covers `bench`, `command` and `worker` of `xformer.benchmarks.bursts`.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import xformer
from xformer.benchmarks.bursts import bench, worker
from xformer.benchmarks.bursts.command import BurstsBench
from xformer.errors import InputError

HERE = Path(xformer.__file__).resolve().parents[1]


class Clock(bench.Side):
    """A side that takes a known time for a pass."""

    def __init__(self, per_pass: float) -> None:
        self.per_pass, self.asked = per_pass, 0

    def seconds(self, work: str, times: int) -> float:
        self.asked += times
        return self.per_pass * times


def test_the_ratio_is_that_of_the_sides() -> None:
    base, here = Clock(0.010), Clock(0.011)
    assert bench._times(base, "train", 0.1) == 10
    pairs = list(bench._pairs(base, here, "train", 10, 5))
    assert [one for pair in pairs for one in pair] == pytest.approx([0.1, 0.11] * 5)
    found = bench._ratio("train", [[ours / theirs for theirs, ours in pairs]] * 3, [0.011] * 5)
    assert found.ratio == pytest.approx(1.1)
    assert found.low == pytest.approx(1.1)
    assert found.high == pytest.approx(1.1)
    assert found.bursts == 15
    assert found.milliseconds == pytest.approx(11)


def test_an_interval_holds_what_processes_differ_by() -> None:
    found = bench._ratio("train", [[0.98] * 4, [1.0] * 4, [1.02] * 4], [0.01])
    assert found.low == pytest.approx(0.98)
    assert found.ratio == pytest.approx(1.0)
    assert found.high == pytest.approx(1.02)


def test_workers_answer_and_a_worker_that_ends_is_named(tmp_path: Path) -> None:
    with bench.side(HERE) as one:
        assert one.seconds("encode", 1) > 0
        with pytest.raises(InputError, match="the worker ended"):
            one.seconds("nothing", 1)
    with bench.side(tmp_path) as nobody, pytest.raises(InputError, match=str(tmp_path)):
        nobody.seconds("encode", 1)


def test_the_worker_repeats_what_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = {"train": 0}

    def train() -> None:
        done["train"] += 1

    monkeypatch.setattr(worker, "passes", lambda threads: {"train": train})
    monkeypatch.setattr("sys.stdin", io.StringIO("train 3\ntrain 2\n"))
    assert worker.main(["1"]) == 0
    assert done == {"train": 5}
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_command_writes_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compare(*places: object, **options: object) -> list[bench.Ratio]:
        return [bench.Ratio("encode", 1.02, 1.01, 1.03, 5.0, 240)]

    monkeypatch.setattr(bench, "compare", compare)
    out = tmp_path / "bursts.json"
    assert BurstsBench(base=str(HERE), out=out).run_command() == 1
    assert "encode: 1.0200 of the base's time" in capsys.readouterr().out
    assert json.loads(out.read_text())["ratios"][0]["high"] == 1.03
    assert BurstsBench(base=str(HERE), out=out, most=0.03).run_command() == 0
    with pytest.raises(InputError, match="--starts"):
        BurstsBench(starts=0).run_command()
