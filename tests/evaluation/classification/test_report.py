"""A report as tables, in words and as pictures. Covers `table` and `picture`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from xformer.errors import InputError
from xformer.evaluation.classification.metrics import calibration, confusion, scores
from xformer.evaluation.classification.picture import (
    accuracy_chart,
    confusion_chart,
    confusion_figure,
    reliability_chart,
    scores_figure,
)
from xformer.evaluation.classification.report import (
    ClassificationReport,
    LanguageReport,
    OracleGap,
    SystemScores,
    Uncalibrated,
)
from xformer.evaluation.classification.table import (
    accuracy_headers,
    accuracy_rows,
    class_languages,
    class_rows,
    classification_table,
    confusions,
    markdown,
    score_rows,
)

TARGETS = np.eye(3, dtype=bool)[[0, 0, 0, 1, 1, 2]]
SAID = np.eye(3)[[0, 0, 1, 1, 1, 1]] * 0.85 + 0.05
SURER = (SAID - 0.05) / 0.85 * 0.97 + 0.01


def language(source: bool, within: int | None) -> LanguageReport:
    of = scores(SAID, TARGETS, False)
    systems = {
        "model": SystemScores(of, 0.4, 0.9, (of.accuracy,)),
        "majority": SystemScores(of, 0.4, 0.9, (of.accuracy,)),
    }
    if within:
        systems["words"] = SystemScores(of, 0.4, 0.9, (of.accuracy,), within)
    counts = tuple(map(tuple, confusion(SAID, TARGETS).tolist()))
    before = calibration(SURER, TARGETS, False)
    without = Uncalibrated(scores(SURER, TARGETS, False).log_loss, before.ece, before)
    return LanguageReport(
        6, source, systems, calibration(SAID, TARGETS, False), without, counts, OracleGap(0.5, 0.6, 6)
    )


REPORT = ClassificationReport(
    run="topics",
    base="demo",
    step=(12,),
    seeds=(0,),
    frozen=False,
    multi_label=False,
    labels=("a|b", "sport", "<i>"),
    source=("en",),
    train_texts=100,
    dev_accuracy=(0.75,),
    temperature=(1.25,),
    languages={"de": language(False, 50), "en": language(True, 100), "fr": language(False, None)},
)


def test_rows_begin_with_the_source_and_end_with_the_means() -> None:
    rows = accuracy_rows(REPORT)
    assert accuracy_headers(REPORT) == ("accuracy", "texts", "model", "95%", "TF-IDF words", "majority")
    assert [row[0] for row in rows] == ["en English", "de German", "fr French", "mean of 2"]
    assert rows[0][1:] == ("6", "0.667", "0.400–0.900", "0.667", "0.667")
    assert rows[2][4] == ""
    assert rows[3][1:] == ("12", "0.667", "", "", "0.667")
    assert [row[-2:] for row in score_rows(REPORT)] == [("0.100", "100"), ("0.100", "50"), ("0.100", "")]
    # Of six answers four are right: confidences of 0.9 and of 0.98 are too high by these.
    assert score_rows(REPORT)[0][3:5] == ("0.233", "0.313")


def test_classes_and_confusions() -> None:
    assert class_rows(REPORT) == [
        ("a|b", "3", "1.000", "0.667", "0.800", "sport (1)"),
        ("sport", "2", "0.500", "1.000", "0.667", ""),
        ("<i>", "1", "", "0.000", "0.000", "sport (1)"),
    ]
    assert confusions(REPORT) == ["a|b taken for sport (1), <i> taken for sport (1)"]


def test_classes_are_those_of_the_source_languages_or_of_all() -> None:
    assert class_languages(REPORT) == ("en",)
    others = {tag: one for tag, one in REPORT.languages.items() if tag != "en"}
    assert class_languages(replace(REPORT, languages=others)) == ("de", "fr")
    assert "Classes in de, fr:" in markdown(replace(REPORT, languages=others))
    assert class_rows(replace(REPORT, languages=others))[0][1] == "6"


def test_the_terminal_s_table_fits_and_markdown_is_escaped() -> None:
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(classification_table(REPORT))
    assert "Fine-tuned from demo: 3 classes" in shown.get()
    assert max(map(len, shown.get().splitlines())) <= 80
    text = markdown(REPORT)
    assert "a\\|b" in text
    assert "&lt;i>" in text
    assert "chosen on held-out texts of en alone: accuracy 0.750 at step 12" in text
    assert "translations without labels" not in text
    taught = markdown(replace(REPORT, parallel="captions"))
    assert "also learned from translations without labels, of the corpus captions" in taught
    assert "with the temperature (1.25) that the same held-out texts chose" in text


def test_a_file_gives_the_report_back_or_is_refused(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "c.json")
    assert ClassificationReport.load(tmp_path / "c.json") == REPORT
    (tmp_path / "c.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.json: expected the scores of a classifier"):
        ClassificationReport.load(tmp_path / "c.json")


def test_charts_show_what_was_found() -> None:
    assert accuracy_chart(REPORT).values["TF-IDF words"].keys() == {"de German", "en English"}
    chart = confusion_chart(REPORT, "en")
    assert [list(row) for row in chart.values] == [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 1, 0]]
    assert chart.rows[0] == "1 a|b"
    lines = reliability_chart(REPORT, "de")
    assert lines.title == "de German: right answers by confidence"
    assert lines.x.name == "confidence (ECE 0.233, without temperature 0.313)"
    assert np.array(lines.series[0].points) == pytest.approx(np.array([[0.9, 4 / 6]]))
    assert np.array(lines.series[1].points) == pytest.approx(np.array([[0.98, 4 / 6]]))
    assert len(scores_figure(REPORT).charts) == 1 + 3
    confused = confusion_figure(REPORT)
    assert confused is not None
    assert [one.title[:2] for one in confused.charts] == ["en", "de", "fr"]
    several = {tag: replace(one, confusion=()) for tag, one in REPORT.languages.items()}
    assert confusion_figure(replace(REPORT, languages=several, multi_label=True)) is None
