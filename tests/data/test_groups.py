"""Union-find, group hashes, and the joining of groups."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.dedup_keys import text_hash
from xformer.data.groups import MAX_JOINED, DisjointSets, group_hash, join_groups


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_sets_are_the_connected_components(links: list[tuple[int, int]]) -> None:
    sets = DisjointSets[int]()
    component = {key: {key} for link in links for key in link}
    for first, second in links:
        assert sets.union(first, second)
        merged = component[first] | component[second]
        for key in merged:
            component[key] = merged
    assert sets.smallest_members() == {key: min(members) for key, members in component.items()}


def test_a_long_chain_needs_no_recursion() -> None:
    sets = DisjointSets[int]()
    for number in range(50_000, 0, -1):
        sets.union(number, number - 1)
    assert sets.smallest_members() == dict.fromkeys(range(50_001), 0)


def test_a_union_beyond_the_limit_is_refused() -> None:
    sets = DisjointSets[str](max_size=2)
    assert sets.union("a", "b")
    assert not sets.union("b", "c")
    assert sets.union("a", "b")
    assert sets.union("c", "d")
    assert not sets.union("d", "a")
    assert sets.smallest_members() == {"a": "a", "b": "a", "c": "c", "d": "c"}


def test_group_hashes_never_change() -> None:
    # Shards on disk hold them.
    assert group_hash("multi30k:17") == 125785692071132658
    assert 0 <= group_hash("") < 2**63


def _join(records: list[tuple[str, str, str]]) -> list[int]:
    """Joined group of each (group, language, text), as the place of the first record with that group."""
    tags = sorted({language for _, language, _ in records})
    joined = join_groups(
        np.array([group_hash(group) for group, _, _ in records], dtype=np.uint64),
        np.array([tags.index(language) for _, language, _ in records], dtype=np.uint16),
        np.array([text_hash(language, text) for _, language, text in records], dtype=np.uint64),
    )
    return [int(np.flatnonzero(joined == value)[0]) for value in joined]


def test_the_same_message_in_most_languages_is_one_group() -> None:
    records = [("1", "en", "email"), ("1", "de", "E-Mail"), ("1", "fr", "courriel")]
    records += [("2", "en", "email"), ("2", "de", "E-Mail"), ("2", "fr", "mél")]
    assert _join(records) == [0] * 6


def test_one_shared_word_joins_nothing() -> None:
    records = [("1", "en", "open"), ("1", "de", "offen"), ("2", "en", "open"), ("2", "de", "öffnen")]
    assert _join(records) == [0, 0, 2, 2]


def test_pairs_with_one_language_in_common_are_joined_by_it() -> None:
    records = [("1", "en", "dog"), ("1", "de", "Hund"), ("2", "en", "dog"), ("2", "fr", "chien")]
    assert _join(records) == [0] * 4


def test_the_same_text_in_another_language_joins_nothing() -> None:
    assert _join([("1", "sv", "status"), ("2", "de", "status")]) == [0, 1]


def test_a_text_in_countless_groups_makes_no_giant() -> None:
    joined = _join([(str(number), "en", "thanks") for number in range(500)])
    assert max(np.unique(joined, return_counts=True)[1]) <= MAX_JOINED


@given(
    st.permutations([(g, lang, t) for g, t in zip("abcde", "xxyyx", strict=True) for lang in ("en", "de")])
)
def test_joining_does_not_depend_on_order(records: list[tuple[str, str, str]]) -> None:
    first = {group: place for (group, _, _), place in zip(records, _join(records), strict=True)}
    assert first["a"] == first["b"] == first["e"]
    assert first["c"] == first["d"] != first["a"]


def test_no_records_are_no_groups() -> None:
    assert _join([]) == []
