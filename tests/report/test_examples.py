"""Texts to read: the message that most languages have, and each language's most certain mistake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from xformer.data.shards import TokenShards
from xformer.evaluation.parallel_texts import ParallelTexts
from xformer.report.examples import find_examples

MakeShards = Callable[..., TokenShards]


def decode(tokens: Sequence[Any]) -> str:
    return " ".join(f"a word {token}" for token in tokens)


def test_the_nearest_is_found_and_mistakes_are_the_most_certain(make_shards: MakeShards) -> None:
    # Four messages, the third too short to show. en (1) has all, de (0) and fr (2) three each; the last two
    # texts in en are equal, so that either answers both.
    english = [[300, 301], [310, 311], [320], [330, 331], [330, 331]]
    german = [[400, 401], [410, 411], [420], [430, 431]]
    french = [[500, 501], [510, 511]]
    shards = make_shards(
        [*english, *german, *french],
        language=[1] * 5 + [0] * 4 + [2] * 2,
        group=[0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1],
    )
    texts = ParallelTexts.of(shards, "en", least=2)
    corners = torch.eye(5)
    vectors = torch.stack(
        [
            *corners,
            corners[0],  # de 0: right
            corners[0] + 0.9 * corners[1],  # de 1: wrong
            corners[1] + 0.1 * corners[2],  # de 2: wrong, and surer of it
            corners[4] + 0.1 * corners[3],  # de 3: another place, the same text
            corners[0],  # fr 0: right
            corners[1],  # fr 1: right
        ]
    )
    message, mistakes = find_examples(texts, F.normalize(vectors, dim=1), decode)
    assert [(one.language, one.text, one.right) for one in message] == [
        ("de", "a word 400 a word 401", True),
        ("fr", "a word 500 a word 501", True),
    ]
    assert {one.translation for one in message} == {"a word 300 a word 301"}
    (mistake,) = mistakes
    assert (mistake.language, mistake.text) == ("de", "a word 420")
    assert (mistake.nearest, mistake.translation) == ("a word 310 a word 311", "a word 320")
    assert 0.99 < mistake.cosine < 1.0
    assert not mistake.right


def test_a_long_text_is_cut(make_shards: MakeShards) -> None:
    shards = make_shards([[300] * 60, [310], [400], [410]], language=[1, 1, 0, 0], group=[0, 1, 0, 1])
    texts = ParallelTexts.of(shards, "en", least=2)
    message, mistakes = find_examples(texts, torch.eye(4)[[0, 1, 1, 0]], decode)
    assert message == ()
    (mistake,) = mistakes
    assert len(mistake.translation) == 201
    assert mistake.translation.endswith("…")
