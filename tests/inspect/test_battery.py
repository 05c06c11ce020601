"""The battery: means by language, in blocks or at once, beside a head without preferences.

Covers `head_report` and `report_files` too.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.inspect.small_subject import small_subject
from xformer.errors import InputError
from xformer.inspect.analysis.patterns import SCORES
from xformer.inspect.battery import SHARES, HeadTable, blocks, measure_heads, measure_importance
from xformer.inspect.head_report import HeadReport
from xformer.inspect.texts import TextSample

SAMPLE = TextSample(
    "by hand",
    {
        "de": {"1": "Datei öffnen, dann lesen.", "2": "Speichern", "3": "Sind Sie sicher, dass ja!"},
        "en": {"1": "Open the file, then read it.", "2": "Save", "3": "", "4": "word " * 40},
    },
)


@pytest.fixture(scope="module")
def table() -> HeadTable:
    return measure_heads(small_subject(), SAMPLE)


def test_means_are_those_of_the_weights_of_each_text(table: HeadTable) -> None:
    subject = small_subject()
    assert table.languages == ("de", "en")
    assert table.texts == (3, 3)  # the last one is too long; of the empty one there is `<s>`
    assert table.left_out == 1
    assert table.scores.shape == (2, 2, 3, len(SCORES))
    for number, texts in enumerate(SAMPLE.texts.values()):
        previous, received_first = [], []
        for text in list(texts.values())[:3]:
            with subject.trace(text, keep="layers.1.attn.weights") as trace:
                weights = trace["layers.1.attn.weights"][0][2].double()
            n = len(weights)
            if n > 1:
                previous.append(sum(float(weights[i, i - 1]) for i in range(1, n)) / (n - 1))
            received_first.append(float(weights[:, 0].mean()))
        found = dict(zip(SCORES, table.scores[number, 1, 2].tolist(), strict=True))
        assert found["previous"] == pytest.approx(sum(previous) / len(previous), abs=1e-6)
        # `<s>` is a delimiter, so at least its weight is on delimiters.
        assert found["delimiter"] >= sum(received_first) / 3 - 1e-6
    assert 0 < table.disagreement < 1e-4


@pytest.mark.parametrize("block_bytes", [1, 3000])
def test_blocks_change_nothing(table: HeadTable, block_bytes: int) -> None:
    other = measure_heads(small_subject(), SAMPLE, block_bytes=block_bytes)
    torch.testing.assert_close(other.scores, table.scores, atol=1e-6, rtol=1e-6, equal_nan=True)
    assert other.tokens == table.tokens


def test_blocks_hold_all_texts_in_order_and_not_more_than_they_may() -> None:
    subject = small_subject()
    texts = [subject.tokenise("word " * n + "end") for n in (1, 9, 2, 3, 20)]
    keep = "layers.*.attn.weights"
    own = [subject.trace_bytes([text], keep) for text in texts]
    found = list(blocks(subject, texts, keep, own[1] + own[2]))
    assert [len(block) for block in found] == [2, 2, 1]
    assert [text for block in found for text in block] == texts


def test_a_head_without_preferences_has_the_scores_of_the_yardstick() -> None:
    subject = small_subject(init_std=1e-9)
    found = measure_heads(subject, SAMPLE)
    expected = found.uniform[:, None, None].expand_as(found.scores)
    torch.testing.assert_close(found.scores, expected, atol=1e-5, rtol=1e-5, equal_nan=True)
    assert found.spread is not None
    assert float(found.spread.spread.nan_to_num(0.0).max()) < 1e-5


@pytest.mark.parametrize(
    "settings",
    [
        {"window": 4, "global_every": 2},
        {"positions": "alibi"},
        {"positions": "learned", "norm_position": "post", "final_norm": False, "bias": True},
    ],
    ids=lambda settings: str(next(iter(settings.values()))),
)
def test_other_architectures(settings: dict[str, Any]) -> None:
    found = measure_heads(small_subject(**settings), SAMPLE)
    assert 0 < found.disagreement < 1e-4
    shares = found.mean[..., 2:]
    assert bool(((shares >= 0) & (shares <= 1)).all())
    if "window" in settings:  # the second layer sees two tokens to either side
        assert bool((found.mean[1, :, 1] <= 2).all())


def test_long_texts_are_looked_at_some_rows_at_a_time(
    monkeypatch: pytest.MonkeyPatch, table: HeadTable
) -> None:
    monkeypatch.setattr("xformer.inspect.battery._WEIGHTS_AT_ONCE", 20)
    other = measure_heads(small_subject(), SAMPLE)
    torch.testing.assert_close(other.scores, table.scores, atol=1e-6, rtol=1e-6, equal_nan=True)


def test_texts_that_cannot_be_read_are_said() -> None:
    long = TextSample("lines", {"": {"0": "word " * 40}})
    with pytest.raises(InputError, match="lines: expected texts of 1 to 32 tokens"):
        measure_heads(small_subject(), long)


def test_the_table_as_text_and_as_json(table: HeadTable) -> None:
    report = HeadReport(table)
    head, *rows = report.lines()
    assert head.split()[:11] == ["layer", "head", *SCORES]
    assert len(rows) == 7
    assert rows[5].split()[:2] == ["1", "2"]
    assert rows[-1].split()[0] == "uniform"
    objects = [json.loads(line) for line in report.objects()]
    assert [(one["layer"], one["head"]) for one in objects] == [(x, y) for x in range(2) for y in range(3)]
    last = objects[-1]
    assert last["distance"] == pytest.approx(float(table.mean[1, 2, 1]), abs=1e-5)
    assert last["languages"]["en"]["entropy"] == pytest.approx(float(table.scores[1, 1, 2, 0]), abs=1e-5)
    for name in SHARES:
        spread = last["spread"][name]
        assert spread["difference"] >= 0
        assert {spread["lowest"], spread["highest"]} <= {"de", "en"}
    assert "left out" in report.note()


@pytest.mark.parametrize(("masked_lm", "measure"), [(True, "masked-token loss"), (False, "sentence vector")])
def test_importance_has_columns_of_its_own(table: HeadTable, masked_lm: bool, measure: str) -> None:
    found = measure_importance(replace(small_subject(), has_masked_lm=masked_lm), SAMPLE)
    assert measure in found.measure
    report = HeadReport(table, found)
    head, *rows = report.lines()
    assert "gradient" in head
    assert "mean ablation" in head
    assert "language ablation" in head
    last = json.loads(list(report.objects())[-1])["importance"]
    assert last["gradient"] == pytest.approx(found.by_gradient().value[1, 2], abs=1e-6)
    german = last["languages"]["de"]["mean ablation"]
    assert german["value"] == pytest.approx(found.by_ablation("mean", "de").value[1, 2], abs=1e-6)
    assert german["low"] <= german["value"] <= german["high"]
    assert len(report.figure().charts) == len(SCORES) + 3
    assert rows[-1].split()[0] == "uniform"


def test_one_language_has_no_spread(tmp_path: Path) -> None:
    found = measure_heads(small_subject(), TextSample("lines", {"": {"0": "one", "1": "two three"}}))
    assert found.spread is None
    report = HeadReport(found)
    assert "spread" not in next(report.lines())
    assert "spread" not in json.loads(next(report.objects()))
    assert "languages" not in json.loads(next(report.objects()))
    assert "largest spread" not in report.page()


def test_the_files_of_a_report(table: HeadTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xformer.inspect.report_files.png", lambda figure: figure.caption.encode())
    written = HeadReport(table).write(tmp_path / "new" / "folder")
    files = {path.name: path.read_bytes() for path in written}
    assert set(files) == {"heads.html", "heads.svg", "heads.jsonl", "heads.png"}
    assert files["heads.png"] == b"What the heads of small look at"
    page = files["heads.html"].decode()
    for name in SCORES:
        assert f">{name}" in page
    assert page.count('class="area') == files["heads.svg"].decode().count('class="area')
    assert "<script src" not in page
    assert "http" not in files["heads.svg"].decode().replace("http://www.w3.org/2000/svg", "")
    assert len(files["heads.jsonl"].splitlines()) == 6
    assert not math.isnan(table.disagreement)
