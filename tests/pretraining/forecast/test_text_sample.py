"""A sample of a corpus, encoded before a run has any data of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xformer.data.corpus import import_corpus, open_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.pairs import TranslationPairs
from xformer.data.record import Record
from xformer.data.shard_writer import Sharding, write_shards
from xformer.data.shards import TokenShards
from xformer.data.source_rules import SourceRule
from xformer.data.split import SplitSizes
from xformer.pretraining.checks import StartChecks
from xformer.pretraining.forecast import text_sample
from xformer.pretraining.forecast.text_sample import ForecastTexts, for_sample, sample_shards
from xformer.runs.config import DataConfig, RunConfig
from xformer.tokenizer import TokenizerOptions, train_tokenizer

OPTIONS = TokenizerOptions(vocabulary_size=320, threads=1)


def _pairs(shards: TokenShards) -> TranslationPairs:
    return TranslationPairs(shards.group, shards.language, np.asarray(shards.n_chunks) == 1)


def test_a_small_corpus_is_encoded_as_the_run_does_it(corpus: Path, tmp_path: Path) -> None:
    opened = open_corpus(corpus)
    tokenizer = train_tokenizer(
        lambda: ((record.language, record.text) for record in opened.records("train")), OPTIONS
    )
    found, used, pieces = sample_shards(opened, tokenizer, OPTIONS, max_length=5)
    assert used is tokenizer
    assert pieces == tokenizer.vocab_size
    write_shards(Sharding(corpus, "train", tokenizer, max_length=5), tmp_path / "shards")
    expected = TokenShards.open(tmp_path / "shards")
    for name in expected.info.column_types:
        if name != "start":
            attribute = {"pieces": "n_chunks", "chars": "n_chars"}.get(name, name)
            assert getattr(found, attribute).tolist() == getattr(expected, attribute).tolist()
    every = np.arange(len(expected))
    assert found.tokens_of(every).tolist() == expected.tokens_of(every).tolist()


@pytest.fixture(scope="module")
def one_after_the_other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 numbers of three words in English, then in German."""
    folder = tmp_path_factory.mktemp("numbers") / "corpus"
    words = {
        "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
        "de": ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
    }
    records = [
        Record(" ".join(words[language][int(digit)] for digit in f"{number:03}"), language, f"{number}", "s")
        for language in words
        for number in range(400)
    ]
    options = ImportOptions(SplitSizes(dev=1, test=1), near_threshold=1.0)
    import_corpus(records, folder, options, [Source("synthetic", "CC0-1.0")])
    return folder


def test_translations_stay_together(one_after_the_other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_sample, "KEPT", 4000)
    shards, *_ = sample_shards(open_corpus(one_after_the_other), None, OPTIONS, max_length=99)
    assert 2000 < shards.n_bytes.sum() < 8000
    assert set(Counter(shards.group.tolist()).values()) == {2}


def test_where_translations_are_further_on_pairs_are_invented(
    one_after_the_other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_sample, "READ", 3000)
    shards, *_ = sample_shards(open_corpus(one_after_the_other), None, OPTIONS, max_length=99)
    assert 3000 <= shards.n_bytes.sum() < 3100
    assert len(_pairs(shards).examples()) >= len(shards) - 1


def test_a_sample_that_cannot_fill_the_vocabulary_gets_a_smaller_one(
    one_after_the_other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_sample, "KEPT", 2000)
    many = TokenizerOptions(vocabulary_size=1200, threads=1)
    _, used, pieces = sample_shards(open_corpus(one_after_the_other), None, many, max_length=99)
    assert 262 < used.vocab_size < 1200
    assert pieces == 1200


@pytest.mark.parametrize(
    ("dev", "texts", "floor", "expected"),
    [
        (False, 100, 40, 40),
        (False, 1000, 40, 4),
        (False, 10_000, 40, 1),
        (True, 1000, 40, 40),
        (False, 9, 1, 1),
    ],
)
def test_a_sample_has_a_floor_in_proportion(
    one_after_the_other: Path, dev: bool, texts: int, floor: int, expected: int
) -> None:
    opened = open_corpus(one_after_the_other)
    train, _, pieces = sample_shards(opened, None, OPTIONS, max_length=4)
    train = train.subset(np.flatnonzero(np.asarray(train.record) < 100))
    found = ForecastTexts("some", train, train if dev else None, np.zeros(pieces, dtype=bool), pieces)
    rules = (SourceRule("*", 0.5),)
    config = RunConfig(data=DataConfig(sources=rules, min_sampled_texts=floor))
    checks = StartChecks("en", texts, 2, {}, {}, ())
    assert for_sample(config, found, checks).data == replace(config.data, min_sampled_texts=expected)
    nothing = DataConfig() if not dev else config.data
    assert for_sample(config, found, None).data == nothing  # texts that are made up come from nowhere
