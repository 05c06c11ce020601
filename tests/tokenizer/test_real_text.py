"""All steps on real captions in four languages."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from xformer.tokenizer import TokenizerOptions, measure_fairness, train_tokenizer

LANGUAGES = ("cs", "de", "en", "fr")


def captions(shared_data: Path, split: str, count: int) -> list[tuple[str, str, int]]:
    """`(language, text, line)` of Multi30k."""
    texts: list[tuple[str, str, int]] = []
    for language in LANGUAGES:
        path = shared_data / "multi30k" / f"{split}.{language}.gz"
        if not path.is_file():
            pytest.skip(f"no Multi30k at {path}")
        lines = gzip.decompress(path.read_bytes()).decode().split("\n")[:count]
        texts += [(language, line, i) for i, line in enumerate(lines)]
    return texts


@pytest.mark.parametrize(("model", "most"), [("unigram", 0.35), ("bpe", 0.35)])
def test_unseen_captions_cost_about_the_same_in_each_language(
    shared_data: Path, model: str, most: float
) -> None:
    train = [(language, text) for language, text, _ in captions(shared_data, "train", 4000)]
    options = TokenizerOptions(vocabulary_size=4000, model=model)  # type: ignore[arg-type]
    tokenizer = train_tokenizer(train, options)
    report = measure_fairness(tokenizer, captions(shared_data, "val", 1000))
    assert {row.language for row in report.rows} == set(LANGUAGES)
    for row in report.rows:
        assert row.parity_groups == row.texts == 1000
        assert row.round_trip_loss == row.unknown == 0.0
        assert row.byte_fallback < 0.001
        assert row.tokens_per_byte is not None
        assert row.tokens_per_byte < most
        assert row.parity is not None
        assert 0.95 < row.parity < 1.4
