"""The index of texts, compared with a look at all pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xformer.data.text_index import TextIndex
from xformer.data.trigrams import trigrams

THRESHOLD = 0.7
TEXTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["save", "page", "s", "the", "保存"]), max_size=4).map("".join),
        st.sampled_from(["en", "de", "pt-BR", "pt-PT"]),
    ),
    max_size=20,
)


def _near(ours: tuple[str, str], theirs: tuple[str, str]) -> bool:
    one, other = trigrams(ours[0]), trigrams(theirs[0])
    same_language = ours[1].partition("-")[0] == theirs[1].partition("-")[0]
    return same_language and len(one & other) >= THRESHOLD * len(one | other) - 1e-9


@given(TEXTS, TEXTS)
def test_every_text_that_is_repeated_is_found_by_its_first_row(
    texts: list[tuple[str, str]], asked: list[tuple[str, str]]
) -> None:
    index = TextIndex([key for key, _ in texts], [tag for _, tag in texts], THRESHOLD)
    first: dict[object, int] = {}
    for row, (key, tag) in enumerate(texts):
        assert index.first[index.key[row]] == first.setdefault(key, row)
        first.setdefault((key, tag[:2]), row)
    entries = [row for name, row in first.items() if isinstance(name, tuple)]
    assert sorted(index.entries.tolist()) == sorted(entries)

    found = index.find([key for key, _ in asked], [tag for _, tag in asked])
    exact = zip(found.exact.tolist(), index.first[found.exact_key].tolist(), strict=True)
    assert list(exact) == [(place, first[key]) for place, (key, _) in enumerate(asked) if key in first]
    near = zip(found.near.tolist(), index.entries[found.near_entry].tolist(), strict=True)
    assert sorted(near) == [
        (place, row) for place, text in enumerate(asked) for row in sorted(entries) if _near(text, texts[row])
    ]
