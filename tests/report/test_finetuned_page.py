"""The page of a fine-tuned run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import Open
from tests.evaluation.classification.test_report import REPORT
from tests.synthetic_labels import sentences
from xformer.errors import InputError
from xformer.finetuning.data_record import DataRecord, PartRecord, write_data_record
from xformer.report.finetuned_page import finetuned_page, read_finetuned
from xformer.report.run_page import write_run_page
from xformer.runs.directory import RunDirectory


@pytest.fixture
def run(finetuned: Path, tmp_path: Path) -> RunDirectory:
    shutil.copytree(finetuned, tmp_path / "animals")
    return RunDirectory(tmp_path / "animals")


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', page)


def test_it_shows_what_there_is(run: RunDirectory, opened: Open, listening: Callable[..., Any]) -> None:
    early = finetuned_page(read_finetuned(run))
    assert sections(early) == ["summary", "training", "limits"]
    assert "It was not tested" in early
    part = PartRecord.of(sentences("en"), ["<i>.en.tsv"])
    write_data_record(run, DataRecord(part, part, part, licence="<b>free</b>", options={}))
    REPORT.save(run.classification)
    (run.path / "watched.json").write_text('{"6": {"de": 0.5}, "18": {"de": 0.75}}', encoding="utf-8")
    target = write_run_page(run.path, None, listening())
    assert target == run.path / "report.html"
    text = target.read_text(encoding="utf-8")
    expected = ["summary", "training", "languages", "meaning", "calibration", "classes", "data", "limits"]
    assert sections(text) == expected
    assert "&lt;b&gt;free&lt;/b&gt;" in text
    assert "<b>free" not in text
    visit = opened(target)
    titles = visit.page.locator("figcaption").all_inner_texts()
    for title in (
        "Loss, nats per text",
        "Accuracy: training and held-out texts",
        "Accuracy on samples of test texts, which chose nothing",
        "Accuracy by language",
    ):
        assert title in titles, titles
    assert sum("right answers by confidence" in title for title in titles) == 3
    assert sum("what texts of each class are taken for" in title for title in titles) == 3
    cells = visit.page.locator("#languages td").all_inner_texts()
    assert {"en English", "de German", "fr French", "0.667"} <= set(cells)


def test_a_run_that_has_not_begun_is_refused(run: RunDirectory, listening: Callable[..., Any]) -> None:
    run.metrics.unlink()
    with pytest.raises(InputError, match="expected a run that has begun to train"):
        write_run_page(run.path, None, listening())
