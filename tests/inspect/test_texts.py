"""Texts to look at a model with: the same messages in all languages, as far as there are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.corpus import Corpus, import_corpus, open_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.inspect.texts import _Groups, sample_corpus, sample_of, sample_parallel

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
    sample, left_out = sample_parallel(corpus, "train", most=45, least=30)
    assert left_out == ("el",)
    assert sample.languages == ("de", "en")
    assert list(sample.texts["de"]) == list(sample.texts["en"])
    assert 40 < len(sample.texts["de"]) <= 45
    assert all(text[3:] == sample.texts["en"][group][3:] for group, text in sample.texts["de"].items())
    sample, left_out = sample_parallel(corpus, "train", most=12, least=10)
    assert (sample.languages, left_out) == (("de", "el", "en"), ())
    assert {len(texts) for texts in sample.texts.values()} == {12}


def test_languages_that_are_named_all_stay(corpus: Corpus) -> None:
    sample, left_out = sample_parallel(corpus, "train", ["el", "en"], least=10)
    assert (sample.languages, left_out) == (("el", "en"), ())
    with pytest.raises(InputError, match="expected 30 messages or more in all of el, en, found 1"):
        sample_parallel(corpus, "train", ["el", "en"], least=30)
    with pytest.raises(InputError, match="expected two or more to compare, got de"):
        sample_parallel(corpus, "train", ["de"], least=2)


def test_where_no_two_languages_share_enough_the_closest_are_named(corpus: Corpus) -> None:
    sample, _ = sample_parallel(corpus, "train", ["de", "en"], least=1, most=10_000)
    most = len(sample.texts["de"])
    said = (
        f"1,000 messages or more that two languages have, found {most} at most, in de and en; --texts {most}"
    )
    with pytest.raises(InputError, match=said.replace("1,000", "1000")):
        sample_parallel(corpus, "train", least=1000)
    with pytest.raises(InputError, match="expected two or more to compare, got de"):
        sample_parallel(corpus, "train", ["de"], least=2)


@settings(max_examples=40)
@given(
    having=st.lists(st.integers(1, 31), min_size=1, max_size=40),
    least=st.integers(1, 12),
)
def test_languages_are_left_out_until_enough_is_shared(having: list[int], least: int) -> None:
    groups = _Groups(tuple("abcde"), {str(number): one for number, one in enumerate(having)})
    kept = groups.shared(least)
    mask = sum(1 << place for place, keep in enumerate(kept) if keep)
    shared = sum(one & mask == mask for one in having)
    assert sum(kept) >= 1
    assert shared >= least or sum(kept) == 1
    if sum(one == 31 for one in having) >= least:
        assert all(kept)


def test_lines_are_texts_of_no_language() -> None:
    assert sample_of(["one", " ", "two"], "lines").texts == {"": {"0": "one", "1": "two"}}
    with pytest.raises(InputError, match="lines: expected texts, found none"):
        sample_of(["", "  "], "lines")
