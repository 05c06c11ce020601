from __future__ import annotations

import numpy as np

from xformer.finetuning.inputs.pairs import TokenPairs
from xformer.pretraining.load import open_tokenizer
from xformer.runs.directory import RunDirectory


def test_first_texts_lie_before_second_ones(trained: RunDirectory) -> None:
    tokenizer = open_tokenizer(trained)
    pairs = [("dog sees house", "Hund"), ("", "cat"), ("bird", "dog sees house " * 9)]
    found = TokenPairs.of(pairs, tokenizer, 12, 5)
    rows = np.array([2, 0])
    batch = found.batch(rows)
    assert len(found) == 3
    assert found.units.tolist() == [1, 1, 1]
    ids = {text: tokenizer.encode(text)[:12].tolist() for pair in pairs for text in pair}
    assert found.lengths.tolist() == [len(ids[one]) + len(ids[other]) for one, other in pairs]
    assert batch.n_texts == 4
    pieces: list[list[int]] = [[] for _ in range(4)]
    packed = batch.packed
    for text, _, sequence in sorted(
        zip(batch.text.tolist(), packed.order.tolist(), range(packed.n_sequences), strict=True)
    ):
        begin, end = packed.cu_seqlens[sequence], packed.cu_seqlens[sequence + 1]
        pieces[text] += packed.tokens[begin:end].tolist()
    assert pieces == [ids[pairs[2][0]], ids[pairs[0][0]], ids[pairs[2][1]], ids[pairs[0][1]]]
    other = TokenPairs.of([pairs[0], pairs[1], pairs[2][::-1]], tokenizer, 12, 5)
    assert found.contents() != other.contents()
