"""The charts of an evaluation on outside text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.outside.example_outside import outside_report
from xformer.evaluation.outside.picture import outside_charts, plot_outside
from xformer.plotting.charts import DotChart, LineChart


def test_a_set_has_its_languages_and_its_layers() -> None:
    languages, layers = outside_charts(outside_report())
    assert isinstance(languages, DotChart)
    assert isinstance(layers, LineChart)
    assert languages.title == "tatoeba: retrieval with en (English), top-1"
    assert languages.values["bag of subwords"]["ja Japanese"] == pytest.approx(0.2)
    assert languages.means["model"] == pytest.approx(1 / 3)
    lines = {one.name: [y for _, y in one.points] for one in layers.series}
    assert lines == {
        "seen in training: 2 languages": pytest.approx([0.2, 0.4, 0.1]),
        "not seen: 1 language": pytest.approx([0.2, 0.2, 0.1]),
    }
    assert layers.x.marks == ((1.0, "the run's layer"),)


def test_the_picture_is_a_png_where_something_was_compared(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = plot_outside(outside_report(), tmp_path / "one.png")
    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG")
    assert plot_outside(replace(outside_report(), pairs=[], means=[]), tmp_path / "two.png") is None
    assert not (tmp_path / "two.png").exists()
