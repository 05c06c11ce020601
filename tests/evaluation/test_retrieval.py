"""Retrieval against a brute-force definition, scikit-learn, and what must be true of any ranking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from xformer.evaluation.retrieval import Retrieval, retrieval

Ints = NDArray[np.int64]


def corpus(
    n_groups: int, n_languages: int, seed: int = 0, present: float = 1.0
) -> tuple[Ints, Ints, np.random.Generator]:
    """Group and language of each text; language 0, the pivot, has every group."""
    rng = np.random.default_rng(seed)
    group, language = (grid.ravel() for grid in np.meshgrid(np.arange(n_groups) * 7, np.arange(n_languages)))
    keep = (language == 0) | (rng.random(len(group)) < present)
    return group[keep], language[keep], rng


def unit(values: NDArray[np.float64]) -> torch.Tensor:
    return F.normalize(torch.from_numpy(values).float(), dim=-1)


def brute_force(
    vectors: torch.Tensor, group: Ints, language: Ints, pivot: int, number: int
) -> tuple[float, ...]:
    """Top-1 and MRR both ways by sorting, for scores without ties."""
    found: list[float] = []
    for source, target in ((number, pivot), (pivot, number)):
        candidates = [i for i in range(len(group)) if language[i] == target]
        ranks = []
        for query in range(len(group)):
            if language[query] != source or group[query] not in group[candidates]:
                continue
            ranking = sorted(candidates, key=lambda i: -float(vectors[query].double() @ vectors[i].double()))
            ranks.append(1 + [group[i] for i in ranking].index(group[query]))
        found += [float(np.mean([rank == 1 for rank in ranks])), float(np.mean([1 / rank for rank in ranks]))]
    return tuple(found)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 4), st.sampled_from([0.4, 0.8, 1.0]))
@settings(max_examples=40)
def test_it_is_what_sorting_gives(seed: int, n_groups: int, n_languages: int, present: float) -> None:
    group, language, rng = corpus(n_groups, n_languages, seed, present)
    # Related vectors, so that ranks are neither all 1 nor all chance.
    meaning = rng.normal(size=(n_groups, 5))
    vectors = unit(meaning[group // 7] + 0.7 * rng.normal(size=(len(group), 5)))
    result = retrieval(vectors, group, language, pivot=0, min_messages=1)
    for one in result.languages:
        wanted = brute_force(vectors, group, language, 0, one.language)
        got = (one.to_pivot.top1, one.to_pivot.mrr, one.from_pivot.top1, one.from_pivot.mrr)
        assert got == pytest.approx(wanted, abs=1e-6)
    seen = {one.language for one in result.languages} | set(result.left_out)
    assert seen == set(language.tolist()) - {0}


def test_it_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    group, language, rng = corpus(30, 2)
    meaning = rng.normal(size=(30, 6))
    vectors = unit(meaning[group // 7] + 0.6 * rng.normal(size=(60, 6)))
    (one,) = retrieval(vectors, group, language, pivot=0, min_messages=1).languages
    scores = (vectors[language == 1].double() @ vectors[language == 0].double().T).numpy()
    assert 0 < one.to_pivot.top1 < 1
    assert one.to_pivot.top1 == pytest.approx(
        metrics.top_k_accuracy_score(np.arange(30), scores, k=1, labels=np.arange(30))
    )
    # With a single right label, the average precision of a ranking is the reciprocal rank.
    assert one.to_pivot.mrr == pytest.approx(
        metrics.label_ranking_average_precision_score(np.eye(30), scores), abs=1e-6
    )


def test_a_perfect_model_is_perfect() -> None:
    group, language, rng = corpus(40, 3, present=0.7)
    meaning = rng.normal(size=(40, 16))
    result = retrieval(unit(meaning[group // 7]), group, language, pivot=0, min_messages=1)
    assert result.mean_top1 == 1.0
    assert result.mean_mrr == 1.0


def test_vectors_at_random_give_chance() -> None:
    group, language, rng = corpus(400, 6, seed=1)
    result = retrieval(unit(rng.normal(size=(len(group), 32))), group, language, pivot=0)
    # 4,000 queries with 1/400 each: ten hits expected; over seeds the standard deviation is four.
    assert 0 < result.mean_top1 < 30 / 4000
    harmonic = float(np.sum(1 / np.arange(1, 401)))
    assert result.mean_mrr == pytest.approx(harmonic / 400, rel=0.25)


def test_a_collapsed_model_gives_exactly_chance() -> None:
    group, language, _ = corpus(20, 3)
    vectors = F.normalize(torch.ones(60, 8) + 1e-8 * torch.randn(60, 8), dim=-1)
    result = retrieval(vectors, group, language, pivot=0, min_messages=1)
    assert result.mean_top1 == pytest.approx(1 / 20)
    assert result.mean_mrr == pytest.approx(float(np.mean(1 / np.arange(1, 21))), abs=1e-6)


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_the_order_of_texts_changes_nothing(seed: int) -> None:
    group, language, rng = corpus(15, 4, seed, present=0.6)
    # Few different vectors, so that there are ties; few different texts, so that there are repeated ones.
    kinds = rng.integers(0, 10, len(group))
    vectors, text = unit(rng.normal(size=(10, 4)))[torch.from_numpy(kinds)], kinds // 2 * 2 + kinds % 2
    order = rng.permutation(len(group))
    before = retrieval(vectors, group, language, 0, text=text, min_messages=1)
    after = retrieval(
        vectors[torch.from_numpy(order)], group[order], language[order], 0, text=text[order], min_messages=1
    )
    assert before == after


def test_ties_count_what_chance_gives() -> None:
    # The answer of query 10 ties with one other; that of 11 comes after both of them.
    group, language = np.array([0, 1, 2, 0, 1]), np.array([0, 0, 0, 1, 1])
    pivots = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [1.0, 0, 0]])
    queries = torch.tensor([[1.0, 0, 0], [0.8, 0.6, 0]])
    (one,) = retrieval(torch.cat([pivots, queries]), group, language, 0, min_messages=1).languages
    assert one.to_pivot.top1 == pytest.approx((1 / 2 + 0) / 2)
    assert one.to_pivot.mrr == pytest.approx(((1 + 1 / 2) / 2 + 1 / 3) / 2)


def test_the_same_text_is_one_candidate() -> None:
    """Two messages that read the same in the pivot: either is right, and they do not crowd the list."""
    group, language = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 0, 0, 1, 1, 1])
    vectors = torch.tensor([[1.0, 0], [1.0, 0], [0, 1.0], [1.0, 0], [0.9, 0.43589], [0.8, 0.6]])
    text = np.array([0, 0, 1, 2, 3, 4])
    (plain,) = retrieval(vectors, group, language, 0, min_messages=1).languages
    (fair,) = retrieval(vectors, group, language, 0, text=text, min_messages=1).languages
    assert plain.to_pivot.top1 == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert fair.to_pivot.top1 == pytest.approx((1 + 1 + 0) / 3)
    assert plain.to_pivot.mrr == pytest.approx((3 / 4 + 3 / 4 + 1 / 3) / 3)
    assert fair.to_pivot.mrr == pytest.approx((1 + 1 + 1 / 2) / 3)


def test_small_languages_are_left_out_by_name() -> None:
    group = np.concatenate([np.arange(10), np.arange(10), np.arange(4), np.arange(20, 30)])
    language = np.repeat([0, 1, 2, 3], [10, 10, 4, 10])
    vectors = unit(np.random.default_rng(0).normal(size=(34, 4)))
    result = retrieval(vectors, group, language, 0, min_messages=5)
    assert [one.language for one in result.languages] == [1]
    assert result.languages[0].messages == 10
    # Language 3 has ten texts, and none of them has a partner in the pivot.
    assert result.left_out == {2: 4, 3: 0}


def test_no_language_at_all_has_no_mean() -> None:
    assert np.isnan(Retrieval(0, (), {}).mean_top1)


def test_candidates_without_a_query_make_it_harder() -> None:
    group, language = np.array([0, 1, 0]), np.array([0, 0, 1])
    vectors = torch.tensor([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0]])
    (one,) = retrieval(vectors, group, language, 0, min_messages=1).languages
    assert (one.to_pivot.top1, one.to_pivot.mrr) == (0.0, 0.5)
    assert one.from_pivot.top1 == 1.0


def test_large_blocks_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    group, language, rng = corpus(50, 3)
    vectors = unit(rng.normal(size=(150, 3)))
    whole = retrieval(vectors, group, language, 0, min_messages=1)
    monkeypatch.setattr("xformer.evaluation.retrieval._SCORES_AT_ONCE", 333)
    assert retrieval(vectors, group, language, 0, min_messages=1) == whole


def test_bad_input_is_named() -> None:
    two, nan = np.array([0, 0]), torch.tensor([[float("nan")], [1.0]])
    with pytest.raises(ValueError, match="one text per group and language"):
        retrieval(torch.ones(2, 1), two, two, 0)
    with pytest.raises(ValueError, match=r"arrays of one length.*'group': 1"):
        retrieval(torch.ones(2, 1), two[:1], two, 0)
    with pytest.raises(ValueError, match="finite"):
        retrieval(nan, two, np.array([0, 1]), 0)
