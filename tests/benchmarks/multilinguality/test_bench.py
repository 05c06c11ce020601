"""The experiment as a whole. Covers `command`, `figure`, `texts` and `write`, too."""

import json
from pathlib import Path

import pytest

from xformer.benchmarks.multilinguality.bench import Interval, Run, by_condition
from xformer.benchmarks.multilinguality.command import MultilingualityBench
from xformer.benchmarks.multilinguality.figure import figure, table
from xformer.benchmarks.multilinguality.measure import Outcome
from xformer.errors import InputError
from xformer.plotting.svg_file import svg_file


def run(condition: str, seed: int, top1: float) -> Run:
    return Run(condition, seed, Outcome((0.0, top1, 0.0), (0.0, top1 / 2, 0.0), 3.5, 1, 500, 200), 20.0)


def test_an_interval_is_students() -> None:
    # mean 2, s = 1, s/√3 = 0.57735, times 4.303
    found = Interval.of([1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, -0.48434, 4.48434), abs=1e-4)
    assert Interval.of([0.25]) == Interval(0.25, 0.25, 0.25)


def test_a_record_holds_a_run() -> None:
    one = run("nothing", 2, 0.25)
    assert Run.from_record(json.loads(json.dumps(one.to_record()))) == one


def test_figure_and_table_show_means_in_the_order_of_the_conditions() -> None:
    runs = [run("nothing", 1, 0.1), run("everything", 0, 0.9), run("nothing", 0, 0.3)]
    assert list(by_condition(runs)) == ["everything", "nothing"]
    assert [one.seed for one in by_condition(runs)["nothing"]] == [0, 1]
    lines = list(table(runs))
    # s = 0.14142, s/√2 = 0.1, times 12.706
    assert "0.200 (-1.071 to 1.471)" in lines[2]
    drawn = svg_file(figure(runs))
    assert "nothing, seed 1: 0.100" in drawn
    assert "nothing: 0.200, 95% interval -1.071 to 1.471" in drawn


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (MultilingualityBench(seeds=0), "--seeds"),
        (MultilingualityBench(steps=0), "--steps"),
        (MultilingualityBench(condition=("all",)), "--condition: expected one of 'everything'"),
    ],
)
def test_what_makes_no_sense_is_refused(given: MultilingualityBench, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given.run_command()


def test_the_command_keeps_record_and_figure(
    tmp_path: Path, sentences: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xformer.benchmarks.multilinguality.texts.HELD_OUT", 20)
    (tmp_path / "text").write_text("\n".join(sentences), encoding="utf-8")
    bench = MultilingualityBench(
        seeds=1, steps=1, condition=("nothing",), text=tmp_path / "text", out=tmp_path / "a", figures=tmp_path
    )
    assert bench.run_command() == 0
    record = json.loads((tmp_path / "a").read_text(encoding="utf-8"))
    assert [one["condition"] for one in record["runs"]] == ["nothing"]
    assert record["texts"]["held_out"] == 20
    assert "nothing" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "multilinguality.svg").read_text(encoding="utf-8")
