"""A report as tables, in words and as pictures. Covers `table` and `picture`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from xformer.errors import InputError
from xformer.evaluation.classification.metrics import calibration, confusion, scores
from xformer.evaluation.classification.picture import (
    accuracy_chart,
    confusion_chart,
    plot_classification,
    reliability_chart,
)
from xformer.evaluation.classification.report import (
    ClassificationReport,
    LanguageReport,
    OracleGap,
    SystemScores,
)
from xformer.evaluation.classification.table import (
    accuracy_headers,
    accuracy_rows,
    class_rows,
    classification_table,
    confusions,
    markdown,
    score_rows,
)

TARGETS = np.eye(3, dtype=bool)[[0, 0, 0, 1, 1, 2]]
SAID = np.eye(3)[[0, 0, 1, 1, 1, 1]] * 0.85 + 0.05


def language(source: bool, within: int | None) -> LanguageReport:
    of = scores(SAID, TARGETS, False)
    systems = {
        "model": SystemScores(of, 0.4, 0.9, (of.accuracy,)),
        "majority": SystemScores(of, 0.4, 0.9, (of.accuracy,)),
    }
    if within:
        systems["words"] = SystemScores(of, 0.4, 0.9, (of.accuracy,), within)
    counts = tuple(map(tuple, confusion(SAID, TARGETS).tolist()))
    return LanguageReport(
        6, source, systems, calibration(SAID, TARGETS, False), counts, OracleGap(0.5, 0.6, 6)
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


def test_classes_and_confusions() -> None:
    assert class_rows(REPORT) == [
        ("a|b", "3", "1.000", "0.667", "0.800", "sport (1)"),
        ("sport", "2", "0.500", "1.000", "0.667", ""),
        ("<i>", "1", "", "0.000", "0.000", "sport (1)"),
    ]
    assert confusions(REPORT) == ["a|b taken for sport (1), <i> taken for sport (1)"]


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


def test_a_file_gives_the_report_back_or_is_refused(tmp_path: Path) -> None:
    REPORT.write(tmp_path / "c.json")
    assert ClassificationReport.read(tmp_path / "c.json") == REPORT
    (tmp_path / "c.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.json: expected the scores of a classifier"):
        ClassificationReport.read(tmp_path / "c.json")


def test_charts_show_what_was_found(tmp_path: Path) -> None:
    assert accuracy_chart(REPORT).values["TF-IDF words"].keys() == {"de German", "en English"}
    chart = confusion_chart(REPORT, "en")
    assert [list(row) for row in chart.values] == [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 1, 0]]
    assert chart.rows[0] == "1 a|b"
    lines = reliability_chart(REPORT).series
    assert [one.name[:2] for one in lines[1:]] == ["en", "de", "fr"]
    assert np.array(lines[1].points) == pytest.approx(np.array([[0.9, 4 / 6]]))
    pytest.importorskip("matplotlib")
    written = plot_classification(REPORT, tmp_path / "a.png", tmp_path / "b.png")
    assert [path.name for path in written] == ["a.png", "b.png"]
