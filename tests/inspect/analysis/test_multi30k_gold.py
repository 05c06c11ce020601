"""The gold standard ranks aligners as they are known to rank: the diagonal, IBM Model 1, both its ways."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.inspect.analysis.ibm_model1 import Model1
from xformer.inspect.analysis.align_gold import diagonals, gold_pairs, score
from xformer.inspect.analysis.alignment_links import MULTI30K_EN_DE, read_gold
from xformer.inspect.analysis.word_alignment import symmetrise
from xformer.inspect.analysis.words import split_words


def words_of(text: str) -> list[str]:
    return [text[start:end].lower() for start, end in split_words(text)]


def test_model_1_by_hand() -> None:
    """The example of Koehn (2010, section 4.2): das Haus, das Buch, ein Buch."""
    pairs = [("das Haus", "the house"), ("das Buch", "the book"), ("ein Buch", "a book")]
    words = [(left.split(), right.split()) for left, right in pairs]
    once, often = Model1(words, rounds=1), Model1(words, rounds=50)
    # In the first round each of the three e words, the empty one too, has a third of every f beside it.
    # `das` stands beside the, house, the, book: t(the | das) = 2/4; `Haus` beside the and house.
    assert once.probability("the", "das") == pytest.approx(1 / 2)
    assert once.probability("house", "Haus") == pytest.approx(1 / 2)
    assert once.probability("a", "das") == 0
    assert often.probability("the", "das") > 0.9
    assert often.align(["das", "Haus"], ["the", "house"]) == {(0, 0), (1, 1)}


@pytest.mark.slow
def test_aligners_rank_as_they_should(shared_data: Path) -> None:
    texts = {}
    for name in ("train.en", "train.de", "test_2016_flickr.en", "test_2016_flickr.de"):
        data = gzip.decompress((shared_data / "multi30k" / f"{name}.gz").read_bytes()).decode()
        texts[name] = data.split("\n")
    gold = read_gold(MULTI30K_EN_DE)
    pairs = gold_pairs(texts["test_2016_flickr.en"], texts["test_2016_flickr.de"], gold)
    seen = [*zip(texts["train.en"][:8000], texts["train.de"][:8000], strict=True), *pairs]
    words = [(words_of(left), words_of(right)) for left, right in seen]
    forward, backward = Model1(words), Model1([(right, left) for left, right in words])
    there = [forward.align(left, right) for left, right in words[-len(pairs) :]]
    back = [frozenset((i, j) for j, i in backward.align(right, left)) for left, right in words[-len(pairs) :]]
    both = [symmetrise(a, b, "intersection") for a, b in zip(there, back, strict=True)]
    grown = [symmetrise(a, b) for a, b in zip(there, back, strict=True)]
    found = {
        name: score(links, gold)
        for name, links in {
            "there": there,
            "back": back,
            "both": both,
            "grown": grown,
            "diagonal": diagonals(pairs),
        }.items()
    }
    assert max(found["both"].aer, found["grown"].aer) < min(found["there"].aer, found["back"].aer)
    assert found["both"].precision > max(found["there"].precision, found["back"].precision) > 0.6
    assert found["diagonal"].aer > found["both"].aer + 0.1
