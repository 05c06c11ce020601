"""Weights of texts by rules about their sources, against the same by hand; and languages of few texts."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.shard_index import ShardsInfo
from xformer.data.shards import TokenShards
from xformer.data.source_rules import SourceRule
from xformer.data.text_weights import TextWeights, expected_by_source, texts_by_source
from xformer.errors import InputError

LANGUAGES, SOURCES = ("de", "en", "sr", "sr-Latn"), ("a/1", "a/2", "b/1", "other")
INFO = ShardsInfo("train", "", "", 300, "<u2", 8, 1, LANGUAGES, 0, (), {}, SOURCES)

TEXTS = st.lists(
    st.tuples(
        st.integers(0, 3),  # language
        st.integers(0, 3),  # source
        st.integers(0, 5),  # group
        st.integers(1, 20),  # characters
        st.integers(1, 3),  # chunks
    ),
    min_size=1,
    max_size=25,
)
RULES = st.lists(
    st.builds(
        SourceRule,
        pattern=st.sampled_from(["a/*", "a/1", "b*", "*", "o*"]),
        weight=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
        min_chars=st.integers(0, 12),
        max_chars=st.none() | st.integers(12, 20),
        min_translations=st.integers(0, 2),
        languages=st.sampled_from([(), ("de",), ("sr*", "en")]),
    ),
    max_size=3,
)
Text = tuple[int, int, int, int, int]


def _shards(texts: list[Text]) -> TokenShards:
    rows = [(*text, number) for number, text in enumerate(texts) for _ in range(text[4])]
    language, source, group, chars, pieces, record = (np.array(column) for column in zip(*rows, strict=True))
    columns = {
        "n_tokens": np.ones(len(rows), dtype=np.uint32),
        "n_bytes": chars,
        "language": language.astype(np.uint16),
        "group": group.astype(np.int64),
        "record": record,
        "pieces": pieces,
        "source": source.astype(np.uint8),
        "chars": chars,
    }
    return TokenShards.in_memory(np.ones(len(rows), dtype=np.uint16), columns, INFO)


def _by_hand(texts: list[Text], rules: list[SourceRule]) -> list[float]:
    found = []
    for language, source, group, chars, chunks in texts:
        rule = next((rule for rule in rules if fnmatchcase(SOURCES[source], rule.pattern)), SourceRule("*"))
        translations = len({tag for tag, _, other, *_ in texts if other == group}) - 1
        stays = (
            rule.min_chars <= chars <= (rule.max_chars or 99)
            and translations >= rule.min_translations
            and (not rule.languages or any(fnmatchcase(LANGUAGES[language], one) for one in rule.languages))
        )
        found += [rule.weight if stays else 0.0] * chunks
    return found


@given(TEXTS, RULES, st.integers(1, 4))
@settings(max_examples=150)
def test_rules_and_the_floor_mean_what_they_say(
    texts: list[Text], rules: list[SourceRule], floor: int
) -> None:
    expected = _by_hand(texts, rules)
    firsts = np.cumsum([0, *(text[4] for text in texts)])[:-1]
    counts = [
        sum(text[0] == tag and expected[at] > 0 for text, at in zip(texts, firsts, strict=True))
        for tag in range(4)
    ]
    small = {LANGUAGES[tag]: count for tag, count in enumerate(counts) if 0 < count < floor}
    languages = [text[0] for text in texts for _ in range(text[4])]
    expected = [
        0.0 if LANGUAGES[tag] in small else weight for tag, weight in zip(languages, expected, strict=True)
    ]
    if not any(expected):
        with pytest.raises(InputError, match="expected to leave some texts"):
            TextWeights.of(_shards(texts), rules, floor)
        return
    found = TextWeights.of(_shards(texts), rules, floor)
    assert found.small == small
    if len(set(expected)) == 1:
        assert found.weights is None
    else:
        assert found.weights is not None
        assert found.weights.values[found.weights.of_example].tolist() == expected


def test_shares_by_source_are_those_of_their_texts_in_each_language() -> None:
    shards = _shards([(0, 0, 0, 5, 1), (0, 1, 1, 5, 1), (0, 1, 2, 5, 1), (1, 2, 0, 5, 2), (2, 3, 0, 5, 1)])
    found = TextWeights.of(shards, [SourceRule("a/1", 4.0), SourceRule("other", 0.0)])
    shares = expected_by_source(shards, found.weights, np.array([0.75, 0.25, 0.0, 0.0]))
    assert shares == pytest.approx([0.5, 0.25, 0.25, 0.0])
    rows = texts_by_source(shards, found.weights, shares)
    assert [(row.name, row.texts, row.drawn_from) for row in rows] == [
        ("a/1", 1, 1), ("a/2", 2, 2), ("b/1", 1, 1), ("other", 1, 0),
    ]  # fmt: skip
    some = expected_by_source(shards, found.weights, np.array([1.0, 0, 0, 0]), np.array([1, 2]))
    assert some == pytest.approx([0, 1, 0, 0])


def test_shards_that_do_not_know_their_sources_are_refused_with_rules_alone() -> None:
    shards = _shards([(0, 0, 0, 5, 1), (1, 0, 0, 5, 1)])
    shards.source, shards.info = None, replace(shards.info, sources=(), format=1)
    with pytest.raises(InputError, match="an earlier version made them; remove their folder"):
        TextWeights.of(shards, [SourceRule("*", 0.5)])
    assert TextWeights.of(shards, []).weights is None
