"""`xformer data pairs` and `mixed`. Covers xformer.data.synthetic.translations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.data.labelled import PairFields, WordFields, read_pairs, read_words

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("name", ["p.en-de.tsv", "p.en-de.jsonl"])
def test_pairs_can_be_trained_on(name: str, xformer: Run, corpus: Path, tmp_path: Path) -> None:
    command = ["data", "pairs", corpus, "--languages", "en", "de", "--out"]
    status, _, said = xformer(*command, tmp_path / name, "--most", "30")
    assert status == 0, said
    assert "60 pairs, half of them translations" in said
    found = read_pairs([tmp_path / name], PairFields())
    assert sorted({one.labels[0] for one in found}) == ["other", "translation"]
    xformer(*command, tmp_path / f"again.{name}", "--most", "30")
    assert (tmp_path / f"again.{name}").read_bytes() == (tmp_path / name).read_bytes()


def test_mixed_text_can_be_trained_on(xformer: Run, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "mixed.jsonl"
    status, _, said = xformer(
        "data", "mixed", corpus, "--languages", "en", "de", "el", "--out", out, "--most", "40"
    )
    assert status == 0, said
    found = read_words([out], WordFields(language="language"))
    assert {tag for one in found for tag in one.tags} == {"de", "el", "en"}
    assert {one.language for one in found} == {"de+en", "de+el", "el+en"}
    assert json.loads(out.read_text(encoding="utf-8").splitlines()[0]).keys() == {
        "tokens",
        "tags",
        "language",
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["pairs", "--languages", "en", "en", "--out", "a.tsv"],
            "expected two different languages, got en twice",
        ),
        (
            ["pairs", "--languages", "en", "fr", "--out", "a.tsv"],
            "no texts in fr in the split train; there are",
        ),
        (
            ["pairs", "--languages", "en", "de", "--out", "a.csv"],
            "expected a name that ends in .tsv or .jsonl",
        ),
        (
            ["pairs", "--languages", "en", "de", "--out", "a.tsv", "--most", "1"],
            "--most: expected a whole number",
        ),
        (["mixed", "--languages", "en", "--out", "a.jsonl"], "expected two different languages or more"),
        (["mixed", "--languages", "en", "de", "--out", "a.jsonl", "--most-switches", "0"], "from 1, got 0"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], expected: str, xformer: Run, corpus: Path, tmp_path: Path
) -> None:
    placed = [str(tmp_path / word) if word.startswith("a.") else word for word in arguments[1:]]
    status, _, said = xformer("data", arguments[0], corpus, *placed)
    assert (status, expected in said) == (2, True), said
    assert list(tmp_path.iterdir()) == []
