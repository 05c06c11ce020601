"""Scores of heads: by hand on three tokens, and beside what the kernels compute without the matrix."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xformer.inspect.analysis import patterns
from xformer.kernels import attention, attention_statistics

# Two heads on three tokens. Head 0 looks at the token before; head 1 spreads, then settles on the last.
WEIGHTS = torch.tensor(
    [
        [[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.0, 0.5, 0.5]],
        [[0.25, 0.25, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]],
    ],
    dtype=torch.float64,
)
NOBODY = torch.zeros(3, dtype=torch.bool)


def test_entropy_by_hand() -> None:
    two = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    expected = [[0.0, two, math.log(2)], [0.5 * math.log(4) + 0.5 * math.log(2), 0.0, 0.0]]
    torch.testing.assert_close(patterns.entropy(WEIGHTS), torch.tensor(expected, dtype=torch.float64))


def test_distance_by_hand() -> None:
    expected = [[0.0, 0.75, 0.5], [1.25, 1.0, 0.0]]
    torch.testing.assert_close(patterns.distance(WEIGHTS), torch.tensor(expected, dtype=torch.float64))


def test_received_and_offsets_by_hand() -> None:
    assert patterns.received(WEIGHTS).tolist() == [[1.75, 0.75, 0.5], [0.25, 0.25, 2.5]]
    assert patterns.at_offset(WEIGHTS, -1).tolist() == [1.25, 0.0]
    assert patterns.at_offset(WEIGHTS, 0).tolist() == [1.75, 1.25]
    assert patterns.at_offset(WEIGHTS, 1).tolist() == [0.0, 1.25]


def test_a_sink_receives_much_of_the_weight_and_many_times_its_share() -> None:
    received = torch.tensor([[4.1, 0.3, 0.3, 0.3, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0], [2.9, 2.1, 0.0, 0.0, 0.0]])
    assert patterns.sinks(received).tolist() == [[True] + 4 * [False], 5 * [False], 5 * [False]]
    assert patterns.sinks(received, times=2.0)[2].tolist() == [True, True, False, False, False]
    # 4 times its share, and yet 4% of the weight alone.
    many = torch.full((1, 100), 96 / 99)
    many[0, 0] = 4.0
    assert not patterns.sinks(many).any()
    assert patterns.mass_on(received, patterns.sinks(received))[0] == pytest.approx(4.1 / 5)


def test_scores_by_hand() -> None:
    delimiter, rare = torch.tensor([False, False, True]), torch.tensor([False, True, False])
    found = dict(
        zip(
            patterns.SCORES,
            patterns.head_scores([WEIGHTS], torch.tensor([4, 7, 4]), delimiter, rare).tolist(),
            strict=True,
        )
    )
    assert found["distance"] == pytest.approx([1.25 / 3, 0.75])
    assert found["previous"] == pytest.approx([0.625, 0.0])
    assert found["next"] == pytest.approx([0.0, 0.625])
    assert found["itself"] == pytest.approx([1.75 / 3, 1.25 / 3])
    assert found["same"] == pytest.approx([0.0, 0.5 / 3])  # the first and the last piece are one
    assert found["delimiter"] == pytest.approx([0.5 / 3, 2.5 / 3])
    assert found["rare"] == pytest.approx([0.25, 0.25 / 3])
    assert found["sink"] == [0.0, 0.0]


def random_weights(n: int, heads: int, seed: int) -> Tensor:
    scores = torch.randn(heads, n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return scores.mul(3).softmax(dim=-1)


@settings(max_examples=25)
@given(n=st.integers(1, 40), rows=st.integers(1, 7), seed=st.integers(0, 99))
def test_rows_in_pieces_give_the_same(n: int, rows: int, seed: int) -> None:
    weights = random_weights(n, 3, seed)
    marks = torch.rand(2, n, generator=torch.Generator().manual_seed(seed)) < 0.4
    ids = torch.randint(4, (n,), generator=torch.Generator().manual_seed(seed))
    whole = patterns.head_scores([weights], ids, marks[0], marks[1])
    pieces = patterns.head_scores(weights.split(rows, dim=1), ids, marks[0], marks[1])
    torch.testing.assert_close(pieces, whole, equal_nan=True)
    assert bool(whole[8].isnan().all()) == (not marks[1].any())
    shares = whole[2:]
    assert bool(((shares >= 0) & (shares <= 1 + 1e-9) | shares.isnan()).all())
    assert bool((whole[0] <= math.log(n) + 1e-9).all())
    # One after another by Python's own loops.
    expected = sum(float(weights[1, i, i - 1]) for i in range(1, n)) / (n - 1) if n > 1 else math.nan
    same = sum(float(weights[1, i, j]) for i in range(n) for j in range(n) if i != j and ids[i] == ids[j])
    assert float(whole[6, 1]) == pytest.approx(same / n)
    assert float(whole[3, 1]) == pytest.approx(expected, nan_ok=True)


@given(n=st.integers(1, 30), seed=st.integers(0, 99))
def test_the_yardstick_is_a_uniform_head(n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(6, (n,), generator=generator)
    marks = torch.rand(2, n, generator=generator) < 0.3
    even = torch.full((1, n, n), 1 / n, dtype=torch.float64)
    expected = patterns.head_scores([even], ids, *marks)[:, 0]
    found = patterns.uniform_scores(ids, *marks)
    torch.testing.assert_close(found, expected, equal_nan=True)


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(1, 17), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_the_kernels_say_the_same_without_the_matrix(lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(sum(lengths), 2, 4, dtype=torch.float64, generator=generator) for _ in range(3))
    starts = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
    _, lse = attention(q, k, v, starts, return_lse=True, backend="torch")
    fused = attention_statistics(q, k, lse, starts, received=True, backend="torch")
    for start, length in zip(starts.tolist(), lengths, strict=False):
        part = slice(start, start + length)
        scores = torch.einsum("ihd,jhd->hij", q[part], k[part]) / 2
        weights = scores.softmax(dim=-1)
        torch.testing.assert_close(patterns.entropy(weights), fused.entropy[part].T)
        torch.testing.assert_close(patterns.distance(weights), fused.distance[part].T)
        assert fused.received is not None
        torch.testing.assert_close(patterns.received(weights), fused.received[part].T)


def test_delimiters_are_special_tokens_and_punctuation_in_any_script() -> None:
    texts = ["", "Hello", ",", " …", "!?", "。", "؟", "।", "", "$", "a.", "<mask>"]
    special = [True, *10 * [False], True]
    found = [text for text, one in zip(texts, patterns.delimiters(texts, special), strict=True) if one]
    assert found == ["", ",", " …", "!?", "。", "؟", "।", "<mask>"]


def test_the_rarest_token_is_one_that_may_be() -> None:
    counts = torch.tensor([1, 7, 3, 3, 9])
    assert patterns.rarest(counts, torch.tensor([0, 1, 1, 1, 1]).bool()).tolist() == [
        False, False, True, True, False,
    ]  # fmt: skip
    assert not patterns.rarest(counts, torch.zeros(5, dtype=torch.bool)).any()


def test_rows_that_are_missing_are_noticed() -> None:
    with pytest.raises(ValueError, match="rows"):
        patterns.head_scores([WEIGHTS[:, :2]], torch.arange(3), NOBODY, NOBODY)
    with pytest.raises(ValueError, match="keys"):
        patterns.head_scores([WEIGHTS], torch.arange(3), torch.zeros(4, dtype=torch.bool), NOBODY)
