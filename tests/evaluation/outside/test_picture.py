"""The charts of an evaluation on outside text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.evaluation.outside.example_outside import outside_report
from xformer.evaluation.outside.picture import outside_charts, outside_figure
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


def test_there_is_a_picture_where_something_was_compared() -> None:
    figure = outside_figure(outside_report())
    assert figure is not None
    assert len(figure.charts) == 2
    assert outside_figure(replace(outside_report(), pairs=[], means=[])) is None
