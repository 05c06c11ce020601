"""Texts to look at a model with: the same messages in all languages, as far as there are."""

from __future__ import annotations

import pytest

from xformer.data.corpus import Corpus, import_corpus, open_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.inspect.texts import TextSample, sample_corpus, sample_of

# Message n is in German if it is even, in Greek if it is a multiple of 6; all in English.
EVERY = {"en": 1, "de": 2, "el": 6}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    records = [
        Record(f"{tag} {'abcdefghij'[n // 10]}{'klmnopqrst'[n % 10]}", tag, f"g{n}", "test")
        for tag, step in EVERY.items()
        for n in range(0, 100, step)
    ]
    options = ImportOptions(SplitSizes(dev=1, test=1, min_languages=3), near_threshold=1.0)
    import_corpus(records, folder, options, [Source("test", "CC0-1.0")])
    return open_corpus(folder)


def test_messages_of_many_languages_come_first(corpus: Corpus) -> None:
    sample = sample_corpus(corpus, "train", most=20)
    assert sample.languages == ("de", "el", "en")
    assert len(sample) == sum(map(len, sample.texts.values())) == 20 + len(sample.texts["el"]) + 20
    greek = set(sample.texts["el"])
    assert 14 <= len(greek) <= 17  # of 17, two are held out
    for tag in ("de", "en"):
        assert set(list(sample.texts[tag])[: len(greek)]) == greek
    assert all(text.startswith(tag) for tag, one in sample.texts.items() for text in one.values())
    # Next come those with German.
    assert all(int(group[1:]) % 2 == 0 for group in sample.texts["en"])


def test_the_seed_chooses_and_nothing_else(corpus: Corpus) -> None:
    one, two, other = (sample_corpus(corpus, "train", most=9, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one.texts["en"] != other.texts["en"]


def test_languages_are_asked_for_by_tag_or_name(corpus: Corpus) -> None:
    sample = sample_corpus(corpus, "train", ["German", "en", "de"], most=5)
    assert sample.languages == ("de", "en")
    with pytest.raises(InputError, match=r"'fr'.*de, el, en"):
        sample_corpus(corpus, "train", ["fr"])
    with pytest.raises(InputError, match="from 1"):
        sample_corpus(corpus, "train", most=0)


def test_parallel_messages_leave_out_the_language_that_shares_too_few(corpus: Corpus) -> None:
    sample = sample_corpus(corpus, "train", most=45)
    texts, left_out = sample.parallel(30)
    assert left_out == ("el",)
    assert list(texts) == ["de", "en"]
    assert len(texts["de"]) == len(texts["en"]) >= 30
    assert [text[3:] for text in texts["de"]] == [text[3:] for text in texts["en"]]
    texts, left_out = sample.parallel(10)
    assert list(texts) == ["de", "el", "en"]
    assert left_out == ()


def test_what_is_not_parallel_is_said() -> None:
    alone = sample_of(["one", " ", "two"], "lines")
    assert alone.texts == {"": {"0": "one", "1": "two"}}
    with pytest.raises(InputError, match="lines: expected two languages with 20 messages"):
        alone.parallel()
    apart = TextSample("here", {"a": {"1": "x"}, "b": {"2": "y"}})
    with pytest.raises(InputError, match="here: expected two languages with 1 messages"):
        apart.parallel(1)
    with pytest.raises(InputError, match="lines: expected texts, found none"):
        sample_of(["", "  "], "lines")
