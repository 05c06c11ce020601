"""Runs, intervals and effects, and the page of findings. Covers `chart` and `figure`, too."""

import json
import re
from dataclasses import astuple
from pathlib import Path

import pytest

from xformer.benchmarks.multilinguality.chart import SeedChart
from xformer.benchmarks.multilinguality.elements import NAMES, conditions, contrasts
from xformer.benchmarks.multilinguality.figure import figure, tables
from xformer.benchmarks.multilinguality.measure import Outcome
from xformer.benchmarks.multilinguality.outcomes import (
    Interval,
    Run,
    by_condition,
    effects,
    read_record,
    runs_of,
)
from xformer.errors import InputError
from xformer.plotting.shapes import Path as Line
from xformer.plotting.svg_file import svg_file

ROOT = Path(__file__).resolve().parents[3]


def run(condition: str, seed: int, top1: float) -> Run:
    trained = Outcome((0.0, top1, 0.0), (0.0, top1 / 2, 0.0), 3.5, 1, 500, 200)
    untrained = Outcome((0.0, 0.01, 0.0), (0.0, 0.02, 0.0), 6.9, 1, 500, 200)
    return Run(condition, seed, trained, untrained, 20.0)


def test_an_interval_is_students() -> None:
    # mean 2, s = 1, s/√3 = 0.57735, times 4.303
    found = Interval.of([1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, -0.48434, 4.48434), abs=1e-4)
    assert Interval.of([0.25]) == Interval(0.25, 0.25, 0.25)


def test_a_record_holds_a_run() -> None:
    one = run("nothing", 2, 0.25)
    assert Run.from_record(json.loads(json.dumps(one.to_record()))) == one


@pytest.mark.parametrize("content", [None, "{", "[]", '{"runs": []}', '{"runs": [{"seed": 0}]}'])
def test_what_is_no_record_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "record.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"record\.json: (there is no such file|expected a record)"):
        read_record(tmp_path / "record.json")


def test_effects_are_paired_by_seed() -> None:
    runs = [run("nothing", 0, 0.1), run("nothing + positions", 0, 0.4), run("nothing", 1, 0.3)]
    runs += [run("nothing + positions", 1, 0.5), run("nothing + positions", 2, 0.9)]
    found = effects(runs, "sentences")
    assert list(found) == ["positions (alone)"]
    assert found["positions (alone)"] == pytest.approx([0.3, 0.2])
    without = run("everything - parallel data", 0, 0.2), run("everything", 0, 0.9), run("sharing", 0, 0.15)
    assert effects(without, "words") == {
        "anchors (beside sharing)": [pytest.approx(0.025)],
        "parallel data (beside all)": [pytest.approx(0.35)],
    }


def test_figure_and_table_show_means_in_the_order_of_the_conditions() -> None:
    runs = [run("nothing", 1, 0.1), run("everything", 0, 0.9), run("nothing", 0, 0.3)]
    assert list(by_condition(runs)) == ["everything", "nothing"]
    assert [one.seed for one in by_condition(runs)["nothing"]] == [0, 1]
    lines = list(tables(runs))
    # s = 0.14142, s/√2 = 0.1, times 12.706
    assert "0.200 (-1.071 to 1.471)      0.010" in lines[2]
    assert not any("what an element adds" in line for line in lines)
    assert lines[-1].split() == ["nothing", "0.000", "0.200", "0.000", "0.000", "0.100", "0.000"]
    drawn = svg_file(figure(runs))
    assert "nothing, seed 1: 0.100" in drawn
    assert "nothing: 0.200, 95% interval -1.071 to 1.471" in drawn
    assert "nothing, the untrained model, mean of the seeds: 0.010" in drawn
    assert "what an element adds" not in drawn


def test_figure_and_table_show_what_an_element_adds() -> None:
    runs = [run("nothing", 0, 0.1), run("nothing + anchors", 0, 0.4)]
    assert "anchors (alone): +0.300, 95% interval +0.300 to +0.300" in svg_file(figure(runs))
    (line,) = [line for line in tables(runs) if line.startswith("anchors (alone)")]
    assert "+0.300 (+0.300 to +0.300)" in line


def test_the_page_has_the_numbers_of_the_record() -> None:
    runs = runs_of(read_record(ROOT / "benchmarks/results/multilinguality.json"))
    assert {(one.condition, one.seed) for one in runs} == {
        (name, n) for name in conditions() for n in range(3)
    }
    page = (ROOT / "docs/what-makes-it-multilingual.md").read_text(encoding="utf-8")
    for score in ("words", "sentences"):
        found = effects(runs, score)
        table = page.split(f"| {score} | beside all others")[1].split("\n\n")[0]
        rows = {row.split("|")[1].strip(): row for row in table.splitlines() if row.startswith("| ")}
        assert list(rows) == list(NAMES.values())
        for element, row in rows.items():
            its = [found[one.name] for one in contrasts() if NAMES[one.element] == element]
            expected = [end for values in its for end in astuple(Interval.of(values))]
            written = re.findall(r"[-+]\d\.\d+", row)
            assert len(written) == len(expected)
            for text, value in zip(written, expected, strict=True):
                digits = len(text) - text.index(".") - 1
                assert float(text) == pytest.approx(value, abs=0.5001 * 10**-digits), (element, text)


def test_a_chart_cuts_intervals_at_its_ends() -> None:
    (drawing,) = SeedChart("", {"row": [0.0, 0.5, 1.0]}, ends=(0.0, 1.0)).drawings(False)
    paths = [one for one in drawing.shapes if isinstance(one, Line)]
    (interval,) = [one for one in paths if one.style.startswith("line")]
    # mean 0.5, s = 0.5, s/√3 = 0.28868, times 4.303
    assert interval.label == "row: 0.500, 95% interval -0.742 to 1.742"
    (row,) = [one for one in paths if one.style == "grid" and one.points[0][1] == interval.points[0][1]]
    assert interval.points == row.points
