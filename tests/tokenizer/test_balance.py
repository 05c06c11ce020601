"""The language-balanced sample: shares, bounds, repeatability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.tokenizer import LanguageShare, TokenizerError
from xformer.tokenizer.balance import draw_sample, plan_sample


def corpus(sizes: dict[str, int]) -> list[tuple[str, str]]:
    """Texts of ten bytes each."""
    return [(language, f"{language}{i:08d}") for language, size in sizes.items() for i in range(size)]


def test_alpha_one_takes_everything_once() -> None:
    texts = corpus({"aa": 300, "bb": 7})
    plan = plan_sample(texts, alpha=1.0, sample_bytes=10**9, max_repeats=5)
    assert list(draw_sample(texts, plan, seed=0)) == [text for _, text in texts]


def test_shares_follow_the_power() -> None:
    texts = corpus({"aa": 1600, "bb": 100})
    plan = plan_sample(texts, alpha=0.5, sample_bytes=10**9, max_repeats=100)
    assert plan["aa"].wanted == pytest.approx(40 / 50)
    assert plan["bb"].wanted == pytest.approx(10 / 50)
    drawn = Counter(text[:2] for text in draw_sample(texts, plan, seed=0))
    assert drawn == {"aa": 1360, "bb": 340}
    assert (plan["bb"].texts, plan["bb"].bytes, plan["bb"].draws) == (100, 1000, 340)
    assert plan["bb"].share == pytest.approx(plan["bb"].wanted)


def test_alpha_zero_gives_every_language_the_same() -> None:
    texts = corpus({"aa": 1000, "bb": 500, "cc": 1500})
    plan = plan_sample(texts, alpha=0.0, sample_bytes=10**9, max_repeats=8)
    assert {share.draws for share in plan.values()} == {1000}


def test_a_small_language_is_not_repeated_without_end() -> None:
    texts = corpus({"aa": 1000, "bb": 1000, "cc": 2})
    plan = plan_sample(texts, alpha=0.0, sample_bytes=10**9, max_repeats=3)
    assert plan["cc"].draws == 6
    assert plan["cc"].wanted == pytest.approx(1 / 3)
    assert plan["cc"].share == pytest.approx(6 / 2002)
    assert plan["aa"].draws == plan["bb"].draws == 998
    drawn = Counter(draw_sample(texts, plan, seed=1))
    assert drawn["cc00000000"] == drawn["cc00000001"] == 3


@given(
    sizes=st.dictionaries(st.sampled_from(["aa", "bb", "cc", "dd"]), st.integers(1, 60), min_size=1),
    alpha=st.floats(0, 1),
    limit=st.integers(10, 2000),
    repeats=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_the_sample_is_what_was_planned(
    sizes: dict[str, int], alpha: float, limit: int, repeats: int, seed: int
) -> None:
    texts = corpus(sizes)
    plan = plan_sample(texts, alpha=alpha, sample_bytes=limit, max_repeats=repeats)
    drawn = list(draw_sample(texts, plan, seed))
    assert Counter(text[:2] for text in drawn) == {x: share.draws for x, share in plan.items()}
    # Rounding, and one text at least, can add a text per language.
    assert sum(map(len, drawn)) <= min(limit, 10 * sum(sizes.values())) + 10 * len(sizes)
    assert max(Counter(drawn).values()) <= repeats
    assert sum(share.wanted for share in plan.values()) == pytest.approx(1.0)
    assert sum(share.share for share in plan.values()) == pytest.approx(1.0)


def test_the_draw_is_uniform_and_seeded() -> None:
    texts = corpus({"aa": 20})
    plan = plan_sample(texts, alpha=1.0, sample_bytes=50, max_repeats=1)
    assert list(draw_sample(texts, plan, 3)) == list(draw_sample(texts, plan, 3))
    assert list(draw_sample(texts, plan, 3)) != list(draw_sample(texts, plan, 4))
    hits = Counter(text for seed in range(2000) for text in draw_sample(texts, plan, seed))
    assert len(hits) == 20
    # 500 expected each, standard deviation below 20.
    assert all(400 < count < 600 for count in hits.values())


def test_languages_are_drawn_independently() -> None:
    one = corpus({"aa": 50, "bb": 50})
    two = corpus({"aa": 50, "cc": 9, "bb": 50})
    kept = []
    for texts in (one, two):
        plan = plan_sample(corpus({"aa": 50, "bb": 50}), alpha=1.0, sample_bytes=300, max_repeats=1)
        plan |= (
            {"cc": LanguageShare(texts=9, bytes=90, wanted=0.0, share=0.0, draws=9)} if texts is two else {}
        )
        kept.append([text for text in draw_sample(texts, plan, seed=0) if not text.startswith("cc")])
    assert kept[0] == kept[1]


def test_blank_texts_do_not_count() -> None:
    texts = [("aa", ""), ("aa", " \n"), ("bb", "word"), ("cc", "\u3000")]
    plan = plan_sample(texts, alpha=0.3, sample_bytes=100, max_repeats=1)
    assert set(plan) == {"bb"}
    assert list(draw_sample(texts, plan, seed=0)) == ["word"]


@pytest.mark.parametrize("texts", [[], [("aa", "")], [("aa", "  "), ("bb", "\n")]])
def test_nothing_to_learn_from_is_an_error(texts: list[tuple[str, str]]) -> None:
    with pytest.raises(TokenizerError, match="at least one text that is not blank"):
        plan_sample(texts, alpha=0.3, sample_bytes=100, max_repeats=1)


def test_an_iterator_is_refused_and_a_function_is_not() -> None:
    texts = corpus({"aa": 3})
    with pytest.raises(TokenizerError, match="list_iterator, which can be read only once"):
        plan_sample(iter(texts), alpha=0.3, sample_bytes=100, max_repeats=1)
    plan = plan_sample(lambda: iter(texts), alpha=0.3, sample_bytes=100, max_repeats=1)
    assert len(list(draw_sample(lambda: iter(texts), plan, seed=0))) == 3


def test_texts_that_change_between_the_passes_are_an_error() -> None:
    texts = corpus({"aa": 3})
    plan = plan_sample(texts, alpha=0.3, sample_bytes=100, max_repeats=1)
    with pytest.raises(TokenizerError, match="yields more text of 'aa'"):
        list(draw_sample(corpus({"aa": 4}), plan, seed=0))
    with pytest.raises(TokenizerError, match="yields less text of 'aa'"):
        list(draw_sample(corpus({"aa": 2}), plan, seed=0))
    with pytest.raises(TokenizerError, match="yields more text of 'bb'"):
        list(draw_sample([*texts, ("bb", "x")], plan, seed=0))


def test_a_large_corpus_is_streamed() -> None:
    """A hundred times what the sample may hold; no two texts exist at once unless they are drawn."""
    alive = 0

    def texts() -> Iterator[tuple[str, str]]:
        nonlocal alive
        for i in range(20_000):
            alive = i
            yield "aa", f"a{i:09d}"

    plan = plan_sample(texts, alpha=0.3, sample_bytes=2_000, max_repeats=8)
    sample = draw_sample(texts, plan, seed=0)
    positions = []
    for text in sample:
        assert alive == int(text[1:])
        positions.append(alive)
    assert len(positions) == 200
    assert positions == sorted(positions)
