"""Letters and words of many texts, compared with a count of one text after the other."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from xformer.data.function_words import languages_by_word
from xformer.data.language_evidence import Evidence, EvidenceCounter

KNOWN = languages_by_word()
PIECES = st.sampled_from(
    [*sorted(KNOWN)[::9], "The", "НЕ", "ΚΑΙΣ", "İl", "में", " ", "\n", "_", "7", "\0", "保存"]
)
TEXTS = st.lists(
    st.lists(st.one_of(PIECES, st.characters()), max_size=6).map(" ".join) | st.text(max_size=9), max_size=9
)


def _expected(texts: list[str]) -> tuple[Counter[str], Counter[str], int]:
    """The definition."""
    letters, words, n_words = Counter[str](), Counter[str](), 0
    for text in texts:
        names = [unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha()]
        letters.update(filter(None, names))
        found = re.findall(r"[^\W\d_]+", text.lower())
        words.update(word for word in found if word in KNOWN)
        n_words += len(found)
    return letters, words, n_words


@given(TEXTS, TEXTS, TEXTS)
def test_the_same_letters_and_words_as_text_by_text(one: list[str], two: list[str], three: list[str]) -> None:
    counter, evidence = EvidenceCounter(), [Evidence(), Evidence()]
    for first, second in ((one, two), (three, one)):
        texts = [*first, *second]
        counter.count(texts, [0] * len(first) + [1] * len(second), evidence)
    for found, texts in zip(evidence, ([*one, *three], [*two, *one]), strict=True):
        assert (found.letters, found.words, found.n_words) == _expected(texts)


def test_every_script_has_its_place() -> None:
    letters = [chr(code) for code in range(0x110000) if chr(code).isalpha()]
    evidence = Evidence()
    EvidenceCounter().count(["".join(letters)], [0], [evidence])
    assert evidence.letters == _expected(["".join(letters)])[0]


def test_two_parts_are_joined() -> None:
    one, other = Evidence(), Evidence()
    for first, last in ((7, 8), (3, 4), (5, 9)):
        one.see(first, last)
    other.see(12, 12)
    EvidenceCounter().count(["the of", "und"], [0, 1], [one, other])
    both = one + other + Evidence()
    assert (both.first, both.last, both.n_words, both.letters["LATIN"]) == (3, 12, 3, 8)
    assert both.words == {"the": 1, "of": 1, "und": 1}
