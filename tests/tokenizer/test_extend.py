"""Extended vocabularies keep their pieces, and cut new texts into fewer."""

from __future__ import annotations

import numpy as np
import pytest

from xformer.tokenizer import Tokenizer, TokenizerError, TokenizerOptions, train_tokenizer
from xformer.tokenizer.extend import Extended, extend_tokenizer
from xformer.tokenizer.options import ModelType

EARLIER = [f"{a} {b}" for a in ("abba", "baab", "bad", "dada", "cab") for b in ("dab", "acca", "ad", "cad")]
NEW = [
    f"{a} {b}" for a in ("дом", "мода", "дома", "вода") for b in ("вдова", "дом", "мода и вода", "код")
] * 8
LABELLED = [("ru", text) for text in NEW]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    kind: ModelType = request.param
    options = TokenizerOptions(vocabulary_size=275, model=kind, threads=1)
    return train_tokenizer([("xx", text) for text in EARLIER], options)


@pytest.fixture(scope="module")
def extended(trained: Tokenizer) -> Extended:
    return extend_tokenizer(trained, LABELLED)


def test_earlier_pieces_and_cuts_stay(trained: Tokenizer, extended: Extended) -> None:
    more = extended.tokenizer
    assert more.vocab_size == trained.vocab_size + len(extended.parts) > trained.vocab_size
    assert more.normalization == trained.normalization
    assert [more.piece(i) for i in range(trained.vocab_size)] == [
        trained.piece(i) for i in range(trained.vocab_size)
    ]
    np.testing.assert_array_equal(more.piece_scores()[: trained.vocab_size], trained.piece_scores())
    for text in [*EARLIER, "", "  x ab", "\u2581"]:
        assert more.encode(text).tolist() == trained.encode(text).tolist()


def test_new_texts_have_fewer_pieces(trained: Tokenizer, extended: Extended) -> None:
    before, after = (sum(len(t.encode(text)) for text in NEW) for t in (trained, extended.tokenizer))
    assert after < before / 3
    assert all(extended.tokenizer.decode(extended.tokenizer.encode(text)) == text for text in NEW)
    letters = extended.tokenizer.encode("домик")  # letters are pieces, not bytes
    assert not extended.tokenizer.is_byte()[letters].any()


def test_parts_are_the_pieces_from_before(trained: Tokenizer, extended: Extended) -> None:
    """They spell the new piece, with its space in front or without."""
    first = trained.vocab_size
    for number, parts in enumerate(extended.parts):
        piece = extended.tokenizer.piece(first + number)
        spelled = trained.decode([trained.id("a"), *parts])
        assert spelled == "a" + piece.replace("\u2581", " ")
        assert len(parts) > 1


def test_the_lowest_score_of_a_unigram_model_stays(trained: Tokenizer, extended: Extended) -> None:
    """The cost of an unknown character is counted from it, so earlier texts would change."""
    scores = extended.tokenizer.piece_scores()
    first, n = trained.vocab_size, len(extended.parts)
    if trained.model == "unigram":
        assert scores[first:].min() >= trained.piece_scores()[261:].min()
        assert ((scores[first:] * 1024) % 1 == 0).all()
    else:
        lowest = trained.piece_scores().min()
        assert scores[first:].tolist() == [lowest - 1 - rank for rank in range(n)]


def test_the_best_pieces_are_added(trained: Tokenizer, extended: Extended) -> None:
    few = extend_tokenizer(trained, lambda: iter(LABELLED), 3)
    assert len(few.parts) == 3
    sizes = [sum(len(e.tokenizer.encode(text)) for text in NEW) for e in (few, extended)]
    assert sizes[1] < sizes[0] < sum(len(trained.encode(text)) for text in NEW)


def test_what_needs_no_piece_is_refused(trained: Tokenizer) -> None:
    known = next(
        piece[1:] for i in range(262, 275) if (piece := trained.piece(i))[1:] and piece[0] == "\u2581"
    )
    with pytest.raises(TokenizerError, match="at least one text"):
        extend_tokenizer(trained, [])
    with pytest.raises(TokenizerError, match="expected texts that need new pieces"):
        extend_tokenizer(trained, [("xx", known)] * 20)


def test_characters_come_first(trained: Tokenizer) -> None:
    few = extend_tokenizer(trained, LABELLED, 9)
    added = [few.tokenizer.piece(trained.vocab_size + i) for i in range(9)]
    assert sorted(piece for piece in added if len(piece) == 1) == sorted("авдикмо")
    assert len([piece for piece in added if len(piece) > 1]) == 2
