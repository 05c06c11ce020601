"""Packed batches: longest first or in the order given, and the way back.

Shapes: T tokens, B sequences.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xformer.model.packed import Packed, join, pack, pack_flat

SEQUENCES = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=7), max_size=12)


def _split(batch: Packed) -> list[list[int]]:
    bounds = batch.cu_seqlens.tolist()
    return [batch.tokens[a:b].tolist() for a, b in pairwise(bounds)]


@given(SEQUENCES)
def test_sequences_come_longest_first_and_equal_lengths_keep_their_order(sequences: list[list[int]]) -> None:
    batch = pack(sequences)
    expected = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))  # sorted() is stable
    assert batch.order.tolist() == expected
    assert _split(batch) == [sequences[i] for i in expected]
    assert batch.lengths == tuple(len(sequences[i]) for i in expected)


@given(SEQUENCES)
def test_unsorted_sequences_keep_the_order_given(sequences: list[list[int]]) -> None:
    batch = pack(sequences, sort=False)
    assert batch.order.tolist() == list(range(len(sequences)))
    assert _split(batch) == sequences
    assert batch.lengths == tuple(map(len, sequences))


@given(SEQUENCES, st.booleans())
def test_sizes_types_positions_and_sequence_numbers_agree(sequences: list[list[int]], sort: bool) -> None:
    batch = pack([np.array(ids, dtype=np.int32) for ids in sequences], sort=sort)
    assert batch.n_sequences == len(sequences)
    assert batch.n_tokens == sum(map(len, sequences))
    assert batch.max_length == max(map(len, sequences), default=0)
    assert batch.positions.tolist() == [i for n in batch.lengths for i in range(n)]
    assert batch.sequence_ids().tolist() == [b for b, n in enumerate(batch.lengths) for _ in range(n)]
    assert batch.cu_seqlens.dtype == torch.int32
    for tensor in (batch.tokens, batch.positions, batch.order, batch.sequence_ids()):
        assert tensor.dtype == torch.int64


@given(SEQUENCES, st.booleans())
def test_those_that_lie_end_to_end_are_packed_likewise(sequences: list[list[int]], sort: bool) -> None:
    tokens = np.array([token for ids in sequences for token in ids], dtype=np.int32)
    found = pack_flat(tokens, np.array([len(ids) for ids in sequences], dtype=np.uint32), sort=sort)
    expected = pack(sequences, sort=sort)
    assert found.lengths == expected.lengths
    for name in ("tokens", "positions", "cu_seqlens", "order"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == getattr(expected, name).dtype


@given(SEQUENCES, st.booleans())
def test_unsort_is_the_inverse_of_packing(sequences: list[list[int]], sort: bool) -> None:
    batch = pack(sequences, sort=sort)
    sums = torch.tensor([[sum(ids), len(ids)] for ids in _split(batch)], dtype=torch.int64).reshape(-1, 2)
    assert batch.unsort(sums).tolist() == [[sum(ids), len(ids)] for ids in sequences]


def test_unsort_lets_gradients_through() -> None:
    batch = pack([[1], [1, 2, 3], [1, 2]])
    rows = torch.arange(6.0).reshape(3, 2).requires_grad_()
    weights = torch.tensor([[1.0], [2.0], [3.0]])
    (batch.unsort(rows) * weights).sum().backward()
    assert rows.grad is not None
    assert rows.grad.tolist() == [[2.0, 2.0], [3.0, 3.0], [1.0, 1.0]]  # longest, then middle, then shortest


def test_a_batch_may_be_empty() -> None:
    empty: list[list[list[int]]] = [[], [[]], [[], []]]
    for sequences in empty:
        batch = pack(sequences)
        assert (batch.n_tokens, batch.max_length, batch.n_sequences) == (0, 0, len(sequences))
        assert batch.cu_seqlens.tolist() == [0] * (len(sequences) + 1)


def test_other_tokens_and_positions_go_into_the_same_layout() -> None:
    batch = pack([[1, 2], [3, 4, 5]])
    masked, moved = batch.with_tokens(batch.tokens + 10), batch.with_positions(batch.positions + 1)
    assert (masked.tokens.tolist(), moved.positions.tolist()) == ([13, 14, 15, 11, 12], [1, 2, 3, 1, 2])
    assert masked.positions is batch.positions
    assert moved.tokens is batch.tokens
    assert batch.tokens.tolist() == [3, 4, 5, 1, 2]
    with pytest.raises(ValueError, match=r"tokens: expected shape \(5,\), got \(4,\)"):
        batch.with_tokens(batch.tokens[:4])
    with pytest.raises(ValueError, match=r"positions: expected shape \(5,\), got \(5, 1\)"):
        batch.with_positions(batch.positions[:, None])


def test_a_batch_moves_whole() -> None:
    batch = pack([[1, 2], [3, 4, 5]])
    for moved in (batch.to("meta"), pack([[1, 2], [3, 4, 5]], device="meta")):
        devices = {t.device.type for t in (moved.tokens, moved.positions, moved.cu_seqlens, moved.order)}
        assert devices == {"meta"}
        assert moved.lengths == batch.lengths


@given(st.lists(SEQUENCES, min_size=1, max_size=4), st.integers(0, 3), st.booleans())
def test_joined_batches_are_one_batch_and_can_be_told_apart(
    lists: list[list[list[int]]], filler: int, sort: bool
) -> None:
    batches = [pack(sequences, sort=sort) for sequences in lists]
    shifted = [batch.with_positions(batch.positions + 10 * number) for number, batch in enumerate(batches)]
    joined, rows = join(shifted, filler)
    every = [ids for sequences in lists for ids in sequences] + [[0]] * filler
    assert joined.lengths == tuple(sorted(map(len, every), reverse=True))
    assert sorted(_split(joined)) == sorted(every)
    assert joined.cu_seqlens.dtype == torch.int32
    used = torch.cat(rows).tolist()
    assert len(used) == len(set(used)) == joined.n_tokens - filler
    unused = sorted(set(range(joined.n_tokens)) - set(used))
    assert joined.tokens[unused].tolist() == joined.positions[unused].tolist() == [0] * filler
    starts = {0, *joined.cu_seqlens.tolist()}
    for batch, its in zip(shifted, rows, strict=True):
        assert torch.equal(joined.tokens[its], batch.tokens)
        assert torch.equal(joined.positions[its], batch.positions)
        # Whole sequences, each in one piece.
        for a, b in pairwise(batch.cu_seqlens.tolist()):
            if a < b:
                first = int(its[a])
                assert first in starts
                assert its[a:b].tolist() == list(range(first, first + b - a))
