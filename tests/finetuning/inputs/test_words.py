"""Words as token ids. Covers xformer.finetuning.inputs.interface."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.finetuning.inputs.interface import units_of
from xformer.finetuning.inputs.words import TokenWords
from xformer.pretraining.load import open_tokenizer
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer

ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
KNOWN = st.sampled_from(["dog", "sees", "Hund", "", " ", "\u200b", "中文", "𒀀", "\u2581", "ﬁ", "New York"])
SENTENCES = st.lists(st.lists(ODD | KNOWN, max_size=6), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def tokenizer(trained: RunDirectory) -> Tokenizer:
    return open_tokenizer(trained)


@settings(max_examples=60)
@given(sentences=SENTENCES, longest=st.integers(1, 9), random=st.randoms(use_true_random=False))
def test_each_word_is_read_at_its_first_piece(
    tokenizer: Tokenizer, sentences: list[list[str]], longest: int, random: object
) -> None:
    words = TokenWords.of(sentences, tokenizer, 256, longest)
    rows = np.array(random.sample(range(len(sentences)), len(sentences)))  # type: ignore[attr-defined]
    batch = words.batch(rows)
    asked = [word for row in rows for word in sentences[row]]
    assert len(batch.first) == len(asked) == words.units.sum()
    assert batch.packed.max_length <= longest
    tokens = batch.packed.tokens.tolist()
    for word, place, filled in zip(asked, batch.first.tolist(), batch.filled.tolist(), strict=True):
        pieces = tokenizer.encode(word).tolist()
        assert filled == bool(pieces)
        if pieces:
            # The space in front of a word says nothing of it, where it is a piece by itself.
            lonely = len(pieces) > 1 and tokenizer.piece(pieces[0]) == "\u2581"
            assert tokens[place] == pieces[1 if lonely else 0]
    places = batch.first[batch.filled].tolist()
    assert len(set(places)) == len(places)
    assert words.lengths.tolist() == [sum(len(tokenizer.encode(w)) for w in one) for one in sentences]


def test_numbers_of_units(tokenizer: Tokenizer) -> None:
    words = TokenWords.of([["a", "b"], [], ["c"], ["d", "e", "f"]], tokenizer, 256, 128)
    assert units_of(words, np.array([3, 1, 0])).tolist() == [3, 4, 5, 0, 1]
    assert units_of(words, np.array([], dtype=np.int64)).tolist() == []
    other = TokenWords.of([["a"], ["b"], ["c"], ["d", "e", "f"]], tokenizer, 256, 128)
    assert words.contents() != other.contents()


def test_the_shorter_limit_is_the_longest_sequence(tokenizer: Tokenizer) -> None:
    words = TokenWords.of([["dog"] * 50], tokenizer, 7, 128)
    batch = words.batch(np.array([0]))
    assert batch.packed.max_length <= 7
    assert batch.packed.n_tokens == words.lengths[0]
    assert bool(batch.filled.all())
