"""Alignments of small matrices, worked out by hand or by another definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xformer.errors import InputError
from xformer.inspect.analysis.alignment_links import Links, from_pharaoh, to_pharaoh
from xformer.inspect.analysis.word_alignment import (
    attention_of_words,
    best_of_columns,
    best_of_rows,
    cosines,
    diagonal_alignment,
    grow_diag_final_and,
    itermax,
    links_of_words,
    mutual_argmax,
    mutual_softmax,
    symmetrise,
)

links = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=10)
sizes = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 1000))


def of(text: str) -> Links:
    return from_pharaoh(text)[1]


def scores(n: int, m: int, seed: int) -> torch.Tensor:
    return torch.rand(n, m, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


SIMILARITY = torch.tensor(
    [
        [0.9, 0.2, 0.1, 0.1],
        [0.3, 0.8, 0.2, 0.1],
        [0.1, 0.85, 0.3, 0.75],
        [0.1, 0.1, 0.2, 0.7],
    ],
    dtype=torch.float64,
)


def test_argmax_by_hand() -> None:
    assert to_pharaoh(best_of_rows(SIMILARITY)) == "0-0 1-1 2-1 3-3"
    assert to_pharaoh(best_of_columns(SIMILARITY)) == "0-0 2-1 2-2 2-3"
    assert to_pharaoh(mutual_argmax(SIMILARITY)) == "0-0 2-1"


def test_itermax_by_hand() -> None:
    # Round 1: 0-0 and 2-1. In round 2 similarities to rows 0 and 2, to columns 0 and 1, count nine tenths,
    # and where both have a link nothing: row 1 is left with .27 .72 .2 .1, row 2 with .09 0 .27 .675, row 3
    # with .09 .09 .2 .7. Column 1's best is row 1 (.72), column 2's is row 2 (.27), column 3's row 3 (.7).
    assert to_pharaoh(itermax(SIMILARITY)) == "0-0 1-1 2-1 3-3"
    assert itermax(SIMILARITY, rounds=1) == mutual_argmax(SIMILARITY)
    # In round 3 rows and columns of links are 0 to 3 and 0, 1, 3: only column 2 is open, to row 2 (.27).
    assert to_pharaoh(itermax(SIMILARITY, rounds=3)) == "0-0 1-1 2-1 2-2 3-3"


@given(sizes)
def test_itermax_only_adds(size: tuple[int, int, int]) -> None:
    similarity = scores(*size)
    rounds = [itermax(similarity, rounds=count) for count in (1, 2, 3)]
    assert rounds[0] == mutual_argmax(similarity)
    assert rounds[0] <= rounds[1] <= rounds[2]


def test_itermax_wants_no_negative_similarity() -> None:
    with pytest.raises(ValueError, match="expected similarities from 0"):
        itermax(SIMILARITY - 0.5)


def test_softmax_by_hand() -> None:
    # Probabilities of the rows 2/3 1/3 | 1/5 4/5, of the columns 2/3 1/3 | 1/5 4/5 too.
    scores = torch.tensor([[2.0, 1.0], [1.0, 4.0]]).log()
    assert to_pharaoh(mutual_softmax(scores, threshold=0.1)) == "0-0 0-1 1-0 1-1"
    assert to_pharaoh(mutual_softmax(scores, threshold=0.25)) == "0-0 1-1"
    assert to_pharaoh(mutual_softmax(scores, threshold=0.7)) == "1-1"


@given(sizes)
def test_mutual_argmax_is_one_to_one_and_both_ways(size: tuple[int, int, int]) -> None:
    similarity = scores(*size)
    found = mutual_argmax(similarity)
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found)
    assert {(j, i) for i, j in found} == mutual_argmax(similarity.T)
    if similarity.numel():
        best = divmod(int(similarity.argmax()), similarity.shape[1])
        assert best in found


def test_grow_diag_by_hand() -> None:
    # The intersection is 1-1 and 4-4. Grown: 2-1 touches 1-1 and word 2 is free, 0-0 and 2-2 touch it
    # diagonally. 0-3 touches nothing, and word 0 has a link. Final: 3-6 stands apart, and its words are free.
    forward, backward = of("0-0 1-1 2-1 4-4 0-3"), of("1-1 2-2 4-4 3-6")
    assert to_pharaoh(grow_diag_final_and(of("0-0 1-1"), of("1-1 2-2"))) == "0-0 1-1 2-2"
    assert to_pharaoh(grow_diag_final_and(forward, backward)) == "0-0 1-1 2-1 2-2 3-6 4-4"


def test_final_and_wants_both_tokens_free() -> None:
    # 5-0 shares a token with 0-0 and touches nothing; 7-7 shares none.
    assert to_pharaoh(grow_diag_final_and(of("0-0 5-0 7-7"), of("0-0"))) == "0-0 7-7"
    # Of two directed links that compete, the forward one wins.
    assert to_pharaoh(grow_diag_final_and(of("3-3"), of("3-8"))) == "3-3"


@given(links, links)
def test_symmetrised_between_intersection_and_union(forward: Links, backward: Links) -> None:
    grown = symmetrise(forward, backward)
    assert symmetrise(forward, backward, "intersection") <= grown <= symmetrise(forward, backward, "union")
    # Nothing is left out whose tokens are both free.
    left, right = {i for i, _ in grown}, {j for _, j in grown}
    assert all(i in left or j in right for i, j in forward | backward)


def test_unknown_symmetrisation_is_named() -> None:
    with pytest.raises(InputError, match="expected intersection, union or grow-diag-final-and, got 'both'"):
        symmetrise(frozenset(), frozenset(), "both")  # type: ignore[arg-type]


def test_words_have_the_links_of_their_tokens() -> None:
    assert to_pharaoh(links_of_words(of("0-0 1-1 2-1 3-3"), [-1, 0, 0, 1], [0, 1, 1, 2])) == "0-1 1-2"


def test_attention_of_words_by_hand() -> None:
    weights = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.4, 0.5], [0.0, 0.0, 1.0]])
    # Rows 0 and 1 are a word, and so are columns 1 and 2: (0.5 + 0.1) / 2 and (0.2 + 0.3 + 0.4 + 0.5) / 2.
    found = attention_of_words(weights, [0, 0, 1], [0, 1, 1])
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.7], [0.0, 1.0]]))
    torch.testing.assert_close(attention_of_words(weights, [-1, 0, 1], [0, 1, -1])[0], weights[1, :2])
    heads = torch.stack([weights, weights])
    torch.testing.assert_close(attention_of_words(heads, [0, 0, 1], [0, 1, 1]), torch.stack([found, found]))


def test_cosines_by_hand() -> None:
    left, right = torch.tensor([[3.0, 4.0]]), torch.tensor([[6.0, 8.0], [-4.0, 3.0], [0.0, 2.0]])
    torch.testing.assert_close(cosines(left, right), torch.tensor([[1.0, 0.0, 0.8]]))


def test_diagonal() -> None:
    assert to_pharaoh(diagonal_alignment(3, 3)) == "0-0 1-1 2-2"
    # Words of 2 are in the middle of words 0, 1 and 2, 3 of 4, and of the four words one each is nearest.
    assert to_pharaoh(diagonal_alignment(2, 4)) == "0-1 1-3"
    assert diagonal_alignment(0, 4) == diagonal_alignment(4, 0) == frozenset()
    assert diagonal_alignment(7, 4) == {(i, j) for j, i in diagonal_alignment(4, 7)}
