"""Texts and groups that repeat held-out ones, compared with a plain definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.data.plain_held_out import THRESHOLD, KeyedText, PlainHeldOut
from xformer.data.dedup_keys import DedupKeys
from xformer.data.deduplicate import HeldOut, KeyedTexts

KEYED = st.lists(
    st.builds(
        KeyedText,
        key=st.lists(st.sampled_from(["save", "page", "s", "the", "now", "保存"]), max_size=4).map("".join),
        language=st.sampled_from(["en", "de", "pt-BR", "pt-PT"]),
        group=st.integers(0, 5),
    ),
    max_size=25,
)


def _texts(texts: list[KeyedText]) -> KeyedTexts:
    groups = np.array([text.group for text in texts], dtype=np.uint64)
    return KeyedTexts([text.key for text in texts], [text.language for text in texts], groups)


@given(KEYED, KEYED, KEYED)
def test_the_same_texts_and_groups_repeat_as_by_definition(
    held_out: list[KeyedText], first: list[KeyedText], second: list[KeyedText]
) -> None:
    def languages(group: int) -> list[str]:
        return ["en", "de", "pt-BR", "pt-PT"][: group + 1]

    plain, tool = PlainHeldOut(held_out), HeldOut(_texts(held_out), THRESHOLD)
    for texts in (first, second):
        expected = [plain.compare(text) for text in texts]
        assert [[None, "near", "exact"][how] for how in tool.compare(_texts(texts))] == expected
    assert tool.repeated_groups(languages) == plain.repeated_groups(languages)


def test_evidence_is_kept_once_however_often_it_is_seen() -> None:
    texts = [KeyedText(f"a message, number {number % 8}", "en", number) for number in range(2_000)]
    plain, tool = PlainHeldOut(texts[:300]), HeldOut(_texts(texts[:300]), THRESHOLD)
    for _ in range(3):
        tool.compare(_texts(texts))
    for text in texts[:2_000:50]:
        plain.compare(text)
    found = tool.repeated_groups(lambda _: ["en", "de"])
    assert {text.group for text in texts[:2_000:50]} & found == plain.repeated_groups(lambda _: ["en", "de"])


def _held_out(*texts: tuple[str, str, int]) -> HeldOut:
    key = DedupKeys()
    return HeldOut(_texts([KeyedText(key(text), language, group) for text, language, group in texts]), 0.7)


def _compare(held_out: HeldOut, text: KeyedText) -> str | None:
    return [None, "near", "exact"][held_out.compare(_texts([text]))[0]]


def test_records_that_repeat_are_told_from_those_that_do_not() -> None:
    key = DedupKeys()
    held_out = _held_out(("Enter a valid e-mail address.", "en", 1), ("Alterar senha agora", "pt-BR", 2))
    assert _compare(held_out, KeyedText(key("Enter a valid email address"), "en", 7)) == "exact"
    assert _compare(held_out, KeyedText(key("Please enter a valid e-mail address."), "en", 7)) == "near"
    assert _compare(held_out, KeyedText(key("Enter a name."), "en", 7)) is None
    # Untranslated text and close languages share whole texts; regions share near ones.
    assert _compare(held_out, KeyedText(key("Enter a valid email address"), "xx", 7)) == "exact"
    assert _compare(held_out, KeyedText(key("Alterar a senha agora"), "pt-PT", 7)) == "near"
    assert _compare(held_out, KeyedText(key("Alterar a senha agora"), "gl", 7)) is None


def test_a_group_goes_when_a_quarter_of_its_languages_repeat() -> None:
    tags = ["en", "de", "fr", "it", "es", "pl", "ru", "tr"]
    held_out = _held_out(*((f"message in {tag}", tag, 1) for tag in tags))
    key = DedupKeys()
    for tag in tags[:2]:
        _compare(held_out, KeyedText(key(f"Message in {tag}!"), tag, 7))
    _compare(held_out, KeyedText(key("message in en"), "en", 8))
    assert held_out.repeated_groups(lambda _: tags) == {7}
    # Group 8 has one language beside, which no held-out text has, so one in one repeats.
    assert held_out.repeated_groups(lambda group: ["en", "nl"] if group == 8 else tags) == {7, 8}


def test_the_same_text_in_another_language_says_nothing_about_the_group() -> None:
    held_out = _held_out(("Status", "de", 1))
    assert _compare(held_out, KeyedText("status", "sv", 7)) == "exact"
    assert held_out.repeated_groups(lambda _: ["de", "sv"]) == set()


def test_nothing_held_out_means_nothing_repeats() -> None:
    held_out = _held_out()
    assert _compare(held_out, KeyedText("anything", "en", 1)) is None
    assert held_out.repeated_groups(lambda _: ["en"]) == set()
