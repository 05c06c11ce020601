"""Near duplicates, compared with a search over all pairs, and groups that repeat held-out groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.deduplicate import DedupKeys, HeldOut, KeyedText, NearDuplicates, trigrams

WORDS = st.text(alphabet="abc", max_size=12)


@given(st.lists(WORDS, max_size=25), st.lists(WORDS, max_size=10), st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_all_near_duplicates_are_found_and_no_others(
    indexed: list[str], queries: list[str], threshold: float
) -> None:
    index = NearDuplicates(indexed, threshold)
    assert len(index) == len(indexed)
    for query in queries + indexed:
        grams = trigrams(query)
        expected = [
            number
            for number, text in enumerate(indexed)
            if len(grams & trigrams(text)) / len(grams | trigrams(text)) >= threshold - 1e-12
        ]
        assert index.find(query) == expected


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_impossible_thresholds_are_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold: expected above 0 and at most 1"):
        NearDuplicates([], threshold)


def _held_out(*texts: tuple[str, str, int]) -> HeldOut:
    key = DedupKeys()
    return HeldOut((KeyedText(key(text), language, group) for text, language, group in texts), threshold=0.7)


def test_records_that_repeat_are_told_from_those_that_do_not() -> None:
    key = DedupKeys()
    held_out = _held_out(("Enter a valid e-mail address.", "en", 1), ("Alterar senha agora", "pt-BR", 2))
    assert held_out.compare(KeyedText(key("Enter a valid email address"), "en", 7)) == "exact"
    assert held_out.compare(KeyedText(key("Please enter a valid e-mail address."), "en", 7)) == "near"
    assert held_out.compare(KeyedText(key("Enter a name."), "en", 7)) is None
    # Untranslated text and close languages share whole texts; regions share near ones.
    assert held_out.compare(KeyedText(key("Enter a valid email address"), "xx", 7)) == "exact"
    assert held_out.compare(KeyedText(key("Alterar a senha agora"), "pt-PT", 7)) == "near"
    assert held_out.compare(KeyedText(key("Alterar a senha agora"), "gl", 7)) is None


def test_a_group_goes_when_a_quarter_of_its_languages_repeat() -> None:
    tags = ["en", "de", "fr", "it", "es", "pl", "ru", "tr"]
    held_out = _held_out(*((f"message in {tag}", tag, 1) for tag in tags))
    key = DedupKeys()
    for tag in tags[:2]:
        held_out.compare(KeyedText(key(f"Message in {tag}!"), tag, 7))
    held_out.compare(KeyedText(key("message in en"), "en", 8))
    assert held_out.repeated_groups(lambda _: tags) == {7}
    # Group 8 has one language beside, which no held-out text has, so one in one repeats.
    assert held_out.repeated_groups(lambda group: ["en", "nl"] if group == 8 else tags) == {7, 8}


def test_the_same_text_in_another_language_says_nothing_about_the_group() -> None:
    held_out = _held_out(("Status", "de", 1))
    assert held_out.compare(KeyedText("status", "sv", 7)) == "exact"
    assert held_out.repeated_groups(lambda _: ["de", "sv"]) == set()


def test_nothing_held_out_means_nothing_repeats() -> None:
    held_out = _held_out()
    assert held_out.compare(KeyedText("anything", "en", 1)) is None
    assert held_out.repeated_groups(lambda _: ["en"]) == set()
