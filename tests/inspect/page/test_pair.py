"""Two texts side by side: joined, and how alike their tokens are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.inspect.page.small import array, letters, small_subject
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.pair import joined, likeness, pair
from xformer.inspect.page.parts import KEEP


def test_joined_by_hand() -> None:
    both, at_a, at_b = joined(letters("ab"), letters("c d"))
    assert both.text == "ab c d"
    assert both.pieces == ("[CLS]", "a", "b", "[SEP]", "c", " ", "d", "[SEP]")
    assert both.words == (-1, 0, 0, -1, 1, 1, 2, -1)
    assert [both.text[slice(*span)] for span in both.spans] == ["", "a", "b", "", "c", " ", "d", ""]
    assert at_a.tolist() == [0, 1, 2, 3]
    assert at_b.tolist() == [0, 4, 5, 6, 7]
    assert both.ids[at_b].tolist() == letters("c d").ids.tolist()


def test_attention_across_is_that_of_one_sequence() -> None:
    subject = small_subject()
    blobs = Blobs()
    with subject.trace(["ab", "cde"], keep=KEEP) as trace:
        part = pair(subject, trace, blobs)
    both, at_a, at_b = joined(letters("ab"), letters("cde"))
    with subject.trace(both, keep=KEEP) as trace:
        weights = trace["layers.1.attn.weights"][0].numpy()
    assert part["kind"] == "joined-encoder"
    for way, (rows, columns), number in (("a_to_b", (at_a, at_b), 0), ("b_to_a", (at_b, at_a), 1)):
        block = weights[0][np.ix_(rows, columns)]
        about, _ = blobs._elements[part[way][1][0]]
        assert about["shape"] == list(block.shape)
        own, others = rows[rows != 0], columns[columns != 0]  # the first token is of both texts
        expected = weights[0][np.ix_(own, others)].sum(1).mean()
        assert part["crossing"][1][0][number] == pytest.approx(expected, rel=1e-5)
    assert part["error"] < 0.01


def test_likeness_is_the_cosine_of_states() -> None:
    subject = small_subject()
    blobs = Blobs()
    with subject.trace(["ab", "ba"], keep=KEEP) as trace:
        part = pair(subject, trace, blobs)
        cosines = likeness(trace, 0, 1)
        x, y = (trace["layers.1.resid_post"][text][1] for text in (0, 1))
    assert len(cosines) == len(part["cosine"]) == 3
    assert cosines[2][1, 1] == pytest.approx(
        float(x @ y / torch.linalg.norm(x) / torch.linalg.norm(y)), rel=1e-5
    )
    # Before the first layer a token's state is that of its piece: a of the one is a of the other.
    assert cosines[0][1, 2] == pytest.approx(1)
    assert array(blobs, part["cosine"][0])[1, 2] == 127
    assert np.abs(array(blobs, part["cosine"][2]) / 127 - cosines[2]).max() <= 0.5 / 127 + 1e-6


def test_long_texts_are_noted() -> None:
    subject = small_subject()
    with subject.trace(["ab" * 20, "ba" * 20], keep=KEEP) as trace:
        notes = pair(subject, trace, Blobs())["notes"]
    assert any("84 tokens" in note for note in notes)
