"""The fairness report: its numbers by hand, its table and its JSON."""

from __future__ import annotations

import dataclasses
import json

import pytest

from xformer.tokenizer import (
    FairnessReport,
    LanguageFairness,
    Tokenizer,
    TokenizerError,
    TokenizerOptions,
    measure_fairness,
    train_tokenizer,
)

Parallel = list[tuple[str, str, int]]


def row_of(report: FairnessReport, language: str) -> LanguageFairness:
    return next(row for row in report.rows if row.language == language)


def test_every_language_is_there_dearest_first(unigram: Tokenizer, parallel: Parallel) -> None:
    report = measure_fairness(unigram, parallel)
    assert {row.language for row in report.rows} == {language for language, _, _ in parallel}
    parities = [row.parity or 0.0 for row in report.rows]
    assert parities == sorted(parities, reverse=True)
    assert report.worst is report.rows[0]
    others = [row.parity or 0.0 for row in report.rows if row.language != "en"]
    assert report.mean_parity == pytest.approx(sum(others) / len(others))


def test_counts_and_ratios_by_hand(unigram: Tokenizer, parallel: Parallel) -> None:
    report = measure_fairness(unigram, parallel, pivot="de")
    for language in ("en", "ru", "ko"):
        texts = {group: text for tag, text, group in parallel if tag == language}
        pivot = {group: text for tag, text, group in parallel if tag == "de"}
        row = row_of(report, language)
        tokens = sum(len(unigram.encode(text)) for text in texts.values())
        assert row.texts == row.parity_groups == len(texts)
        assert row.tokens == tokens
        assert row.characters == sum(map(len, texts.values()))
        assert row.bytes == sum(len(text.encode()) for text in texts.values())
        assert row.tokens_per_word == tokens / sum(len(text.split()) for text in texts.values())
        assert row.tokens_per_character == tokens / row.characters
        assert row.tokens_per_byte == tokens / row.bytes
        assert row.parity == pytest.approx(
            tokens / sum(len(unigram.encode(text)) for text in pivot.values()), rel=1e-12
        )
        assert row.unknown == row.round_trip_loss == 0.0
    assert row_of(report, "de").parity == 1.0


def test_words_are_counted_only_where_there_are_spaces(bpe: Tokenizer, parallel: Parallel) -> None:
    report = measure_fairness(bpe, parallel)
    without = {row.language for row in report.rows if row.tokens_per_word is None}
    assert without == {"th", "zh-Hans", "ja"}


def test_parity_is_over_shared_groups_and_averages_variants(bpe: Tokenizer) -> None:
    texts = [
        ("en", "The cat", "a"),
        ("en", "The cat sleeps on the warm roof.", "a"),
        ("en", "Where is the station?", "b"),
        ("en", "not shared with anyone", None),
        ("de", "Die Katze", "a"),
        ("de", "Bahnhof", "only here"),
        ("de", "ohne Gruppe", None),
        ("ru", "Кошка", "only there"),
    ]
    report = measure_fairness(bpe, texts)
    size = {text: len(bpe.encode(text)) for _, text, _ in texts}
    expected = size["Die Katze"] / ((size["The cat"] + size["The cat sleeps on the warm roof."]) / 2)
    assert row_of(report, "de").parity == pytest.approx(expected)
    assert row_of(report, "de").parity_groups == 1
    assert row_of(report, "ru").parity is None
    assert row_of(report, "ru").parity_groups == 0
    assert row_of(report, "en").parity == 1.0


def test_bytes_without_a_piece_are_counted_and_white_space_is_not(bpe: Tokenizer) -> None:
    report = measure_fairness(bpe, [("got", "𐌰𐌱 cat", None), ("en", "cat\n\tcat", None)])
    assert row_of(report, "got").byte_fallback == pytest.approx(8 / 12)
    assert row_of(report, "en").byte_fallback == 0.0


def test_normalisation_shows_as_loss(sentences: list[tuple[str, str]], bpe: Tokenizer) -> None:
    options = TokenizerOptions(vocabulary_size=720, normalization="nfkc")
    folding = train_tokenizer(sentences, options)
    texts = [("en", "ﬁne", None), ("en", "fine", None), ("de", "gut", None)]
    report = measure_fairness(folding, texts)
    assert row_of(report, "en").round_trip_loss == 0.5
    assert row_of(report, "de").round_trip_loss == 0.0
    assert {row.round_trip_loss for row in measure_fairness(bpe, texts).rows} == {0.0}


def test_without_a_pivot_nothing_has_parity(bpe: Tokenizer, parallel: Parallel) -> None:
    report = measure_fairness(bpe, parallel, pivot="xx")
    assert report.mean_parity is None
    assert report.worst is None
    assert all(row.parity is None for row in report.rows)
    assert "mean parity with xx: –" in report.to_text()


def test_a_language_of_empty_texts_has_no_ratios(bpe: Tokenizer) -> None:
    row = row_of(measure_fairness(bpe, [("en", "", "a"), ("de", "Katze", "a")]), "en")
    assert (row.tokens_per_word, row.tokens_per_character, row.tokens_per_byte, row.parity) == (None,) * 4


def test_functions_and_progress(bpe: Tokenizer, parallel: Parallel) -> None:
    told: list[tuple[str, int, int | None]] = []
    report = measure_fairness(bpe, lambda: iter(parallel), progress=lambda *event: told.append(event))
    assert report == measure_fairness(bpe, parallel)
    assert told == [("measuring fairness", len(parallel), None)]


def test_wrong_input(bpe: Tokenizer, parallel: Parallel) -> None:
    with pytest.raises(TokenizerError, match="start again"):
        measure_fairness(bpe, iter(parallel))
    with pytest.raises(TokenizerError, match="at least one text"):
        measure_fairness(bpe, [])


def test_the_json_holds_every_number(bpe: Tokenizer, parallel: Parallel) -> None:
    report = measure_fairness(bpe, parallel)
    read = json.loads(report.to_json())
    assert read["pivot"] == "en"
    assert read["mean_parity"] == report.mean_parity
    assert read["worst"] == report.rows[0].language
    assert list(read["languages"]) == [row.language for row in report.rows]
    for row in report.rows:
        expected = dataclasses.asdict(row)
        assert {"language": row.language, **read["languages"][row.language]} == expected


def test_the_table_lines_up(bpe: Tokenizer, parallel: Parallel) -> None:
    report = measure_fairness(bpe, parallel)
    lines = report.to_text().split("\n")
    header, rule, *rows = lines[: len(report.rows) + 2]
    assert header.split()[:3] == ["language", "texts", "parity"]
    assert {len(line) for line in rows} == {len(rule)}
    assert [line.split()[0] for line in rows] == [row.language for row in report.rows]
    assert [line.split()[2] for line in rows] == [f"{row.parity:.2f}" for row in report.rows]
    assert "BPE, 1,200 pieces, not normalised" in report.to_text()


def test_unknown_tokens_are_shouted_about(bpe: Tokenizer, parallel: Parallel) -> None:
    report = measure_fairness(bpe, parallel)
    assert "<unk>" not in report.to_text()
    broken = dataclasses.replace(report.rows[0], unknown=0.5, tokens=10)
    assert "5 tokens are <unk>" in dataclasses.replace(report, rows=(broken,)).to_text()
