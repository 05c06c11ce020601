from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from xformer.data.synthetic.mixed import OTHER, mixed_texts

WORDS = st.lists(st.text(st.sampled_from("abü7."), min_size=1, max_size=3), max_size=7)
GROUPS = st.lists(
    st.dictionaries(st.sampled_from(["de", "en", "fr"]), WORDS.map(" ".join), min_size=2),
    min_size=1,
    max_size=8,
)


@given(groups=GROUPS, most=st.integers(1, 4), seed=st.integers(0, 3))
def test_words_are_of_the_text_that_their_tag_says_and_in_its_order(
    groups: list[dict[str, str]], most: int, seed: int
) -> None:
    found = list(mixed_texts(groups, most, seed))
    assert found == list(mixed_texts(groups, most, seed))
    assert len(found) <= len(groups)
    for one in found:
        assert len(one.tokens) == len(one.tags)
        first, second = one.language.split("+")
        assert first < second
        spoken = [tag for tag in one.tags if tag != OTHER]
        assert set(spoken) <= {first, second}
        assert sum(a != b for a, b in pairwise(spoken)) <= most
        for word, tag in zip(one.tokens, one.tags, strict=True):
            assert (tag == OTHER) == (not any(map(str.isalpha, word)))
        # Some group has all of its words, each language's in their order.
        assert any(
            all(
                in_order(
                    [w for w, t in zip(one.tokens, one.tags, strict=True) if t == tag], group.get(tag, "")
                )
                for tag in (first, second)
            )
            for group in groups
        )


def in_order(words: list[str], text: str) -> bool:
    rest = iter(text.split())
    return all(any(word == other for other in rest) for word in words)


def test_a_sentence_goes_on_in_the_other_language() -> None:
    group = {"de": "eins zwei drei vier fünf sechs", "en": "one two three four five six"}
    (found,) = mixed_texts([group], 1, 5)
    number = dict(zip(group["en"].split(), group["de"].split(), strict=True))
    assert [number.get(word, word) for word in found.tokens] == group["de"].split()
    assert len(set(found.tags)) == 2
