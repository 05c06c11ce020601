from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.evaluation.classification.test_report import REPORT
from tests.synthetic_labels import sentences
from xformer.evaluation.classification.report import SystemScores
from xformer.evaluation.classification.table import markdown
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.data_record import DataRecord, PartRecord, write_data_record
from xformer.finetuning.model_card import data_rows, label_rows, limits, write_finetuned_card
from xformer.runs.directory import RunDirectory
from xformer.storage.toml import save_toml

RECORD = DataRecord(
    PartRecord.of(sentences("en"), ["train|1.en.tsv"]),
    PartRecord.of(sentences("en")[:5]),
    PartRecord.of(sentences("de")[:30], ["test.de.tsv"]),
    licence="<b>free</b>\nfor all",
    left_out={"without text": 4},
    options={},
)


@pytest.fixture
def run(finetuned: Path, tmp_path: Path) -> RunDirectory:
    shutil.copytree(finetuned, tmp_path / "animals")
    found = RunDirectory(tmp_path / "animals")
    write_data_record(found, RECORD)
    return found


def test_it_has_labels_scores_calibration_data_and_limits(run: RunDirectory) -> None:
    run.classification_plot.write_bytes(b"")
    write_finetuned_card(run, REPORT)
    text = run.model_card.read_text(encoding="utf-8")
    heads = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert heads == ["Results", "Calibration", "Training", "Data", "Limits", "Use"]
    assert "5 labels: `bird`, `cat`, `dog`, `fox`, `horse`" in text
    assert markdown(REPORT) in text
    assert "![accuracy by language, and reliability](classification.png)" in text
    assert "confusion.png" not in text
    assert "Logits are divided by the temperature" in text
    assert "18 steps of 16 texts" in text
    assert "Licence of the texts: &lt;b>free&lt;/b> for all\n" in text
    assert "| training | train\\|1.en.tsv | 120 | en 120 |" in text
    assert "Left out: 4 without text." in text
    assert f"xformer classify {run.path} texts.txt" in text


def test_without_test_texts_it_says_so(run: RunDirectory) -> None:
    run.labelled_data.unlink()
    write_finetuned_card(run, replace(REPORT, languages={}))
    text = run.model_card.read_text(encoding="utf-8")
    assert "Not tested: there were no test texts." in text
    assert "nothing is known of texts that it has not learned from" in text
    assert "## Data" not in text
    assert "Translations without labels" not in text
    config = run.load_config(FinetuningConfig)
    save_toml(run.config, replace(config, consistency=replace(config.consistency, corpus="corpora/captions")))
    write_finetuned_card(run, None)
    card = run.model_card.read_text(encoding="utf-8")
    assert "Translations without labels, of `corpora/captions`, taught it, too." in card


def test_limits_are_those_of_the_scores(finetuning: FinetuningConfig) -> None:
    def said(report: object) -> str:
        return "\n".join(limits(finetuning, RECORD, report))  # type: ignore[arg-type]

    assert "Each text gets one of these labels, also one that none of them fits." in said(REPORT)
    words = replace(finetuning, classifier=replace(finetuning.classifier, example="words"))
    assert limits(words, RECORD, REPORT)[0].startswith("Each word gets one")
    assert not any("tokens of a text" in line for line in limits(words, RECORD, REPORT))
    assert "One seed" in said(REPORT)
    assert "scores higher" not in said(REPORT)
    assert "Fewer than 20" not in said(REPORT)
    german = REPORT.languages["de"]
    better = replace(german.systems["words"].mean, accuracy=0.9)
    systems = german.systems | {"words": SystemScores(better, 0.8, 1.0, (0.9,), 50)}
    changed = REPORT.languages | {"de": replace(german, systems=systems)}
    assert "TF-IDF words scores higher in de (German)." in said(replace(REPORT, languages=changed))
    del changed["en"]
    assert "no test text in en (English), which it learned from" in said(replace(REPORT, languages=changed))
    assert "One seed" not in said(replace(REPORT, seeds=(0, 1)))
    assert "stand in the training texts" not in said(REPORT)
    leaky = "\n".join(limits(finetuning, replace(RECORD, seen=7), REPORT))
    assert "7 of 30 test texts stand in the training texts as well" in leaky
    few = replace(RECORD, train=PartRecord.of(sentences("en")[::10]))
    assert "Fewer than 20 training texts have the label bird" in "\n".join(limits(finetuning, few, REPORT))


def test_rows_of_the_data() -> None:
    assert [row[0] for row in data_rows(RECORD)] == ["training", "held out, chose the checkpoint", "test"]
    assert data_rows(RECORD)[1][1:] == ("of the training files", "5", "en 5")
    assert data_rows(replace(RECORD, options=None))[1][1] == "rows given in Python"
    assert [row[0] for row in label_rows(RECORD)] == ["bird", "cat", "dog", "fox", "horse"]
    assert label_rows(RECORD)[0][1] == "24"
