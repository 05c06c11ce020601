"""The lens against the reference model stopped after each layer; ranks by hand; memory in blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.inspect.analysis.tiny_subject import LETTERS, MASK, parameters, tiny_subject, tokenise
from xformer.errors import InputError
from xformer.inspect.analysis.hidden import hide
from xformer.inspect.analysis.lens import lens_by_language, logit_lens, predictions
from xformer.inspect.subject import Subject
from xformer.model.reference import reference_forward, reference_masked_lm

TEXTS = ["abcdefgh", "hello", "aa", "zyxwvutsrq"]


def reference_logits(subject: Subject, ids: np.ndarray, n_layers: int) -> Tensor:
    """(n, V) after so many blocks, by the padded twin."""
    tokens = torch.from_numpy(ids)[None]
    encoder, head = parameters(subject), subject.network.masked_lm.state_dict()
    mask = torch.ones_like(tokens, dtype=torch.bool)
    hidden = reference_forward(subject.config, encoder, tokens, mask, n_layers=n_layers)[0]
    table = encoder["embeddings.tok_embeddings.weight"]
    return reference_masked_lm(subject.config, head, hidden, table)


@pytest.mark.parametrize("architecture", ["ours", "bert"])
def test_each_layer_is_the_model_stopped_there(architecture: str) -> None:
    subject = tiny_subject(architecture)
    with subject.trace(TEXTS) as trace:
        found = logit_lens(trace, 1, tokens=[2, 0, -1], targets=[7, 9, 11], k=4)
    assert len(found) == subject.config.n_layers + 1
    for layer, its in enumerate(found):
        log_p = reference_logits(subject, tokenise("hello").ids, layer)[[2, 0, -1]].log_softmax(-1)
        best = log_p.exp().topk(4)
        assert torch.equal(its.pieces, best.indices)
        torch.testing.assert_close(its.probabilities, best.values.float())
        right = log_p[[0, 1, 2], [7, 9, 11]]
        torch.testing.assert_close(its.bits, (-right / math.log(2)).float())
        torch.testing.assert_close(its.probability, right.exp().float())
        assert its.rank.tolist() == (log_p > right[:, None]).sum(-1).add(1).tolist()


def test_the_text_shows_the_right_pieces_unless_told() -> None:
    subject = tiny_subject()
    with subject.trace("abc") as trace:
        for its, told in zip(
            logit_lens(trace, tokens=1), logit_lens(trace, tokens=1, targets=[5]), strict=True
        ):
            assert torch.equal(its.bits, told.bits)


def test_ranks_by_hand_and_ties_in_the_middle() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    found = predictions(lambda rows: logits[rows[:, 0].long()], torch.tensor([[0.0], [0.0], [0.0], [1.0]]),
                        torch.tensor([0, 3, 1, 2]), k=2, vocabulary=4)  # fmt: skip
    assert found.rank.tolist() == [1, 2.5, 4, 2.5]
    assert found.bits[3] == 2
    assert found.pieces[0, 0] == 0


def test_logits_come_in_blocks() -> None:
    sizes = []
    table = torch.randn(9, 50, dtype=torch.float64)

    def head(rows: Tensor) -> Tensor:
        sizes.append(len(rows))
        return rows @ table

    states, targets = torch.randn(23, 9, dtype=torch.float64), torch.arange(23)
    parts = predictions(head, states, targets, k=3, vocabulary=50, at_once=207)
    assert sizes == [4, 4, 4, 4, 4, 3]
    whole = predictions(head, states, targets, k=3, vocabulary=50)
    for name in ("pieces", "probabilities", "probability", "bits", "rank"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


def test_means_by_language_are_those_of_a_double_loop() -> None:
    subject = tiny_subject()
    languages = ["x", "y", "x", "y"]
    found = lens_by_language(subject, TEXTS, languages, rate=0.4, seed=3, batch_tokens=11)
    hidden = hide([tokenise(text) for text in TEXTS], languages, mask_id=MASK, rate=0.4, seed=3)
    assert found.language == tuple(one.language for one in hidden)
    assert found.left_out == len(TEXTS) - len(hidden)
    for number, one in enumerate(hidden):
        for layer in range(4):
            log_p = reference_logits(subject, one.text.ids, layer)[one.places].log_softmax(-1)
            right = log_p[torch.arange(len(one.places)), torch.from_numpy(one.targets)]
            ranks = (log_p > right[:, None]).sum(-1) + 1
            assert found.bits[number, layer] == pytest.approx(-float(right.mean()) / math.log(2), rel=1e-5)
            assert found.probability[number, layer] == pytest.approx(float(right.exp().mean()), rel=1e-5)
            assert found.top1[number, layer] == pytest.approx(float((ranks == 1).double().mean()))
            assert found.log_rank[number, layer] == pytest.approx(float(ranks.log2().mean()), rel=1e-5)
    y = [number for number, one in enumerate(hidden) if one.language == "y"]
    np.testing.assert_allclose(found.mean("bits", "y").value, found.bits[y].mean(0))
    assert found.languages == ("x", "y")


def test_wrong_questions() -> None:
    subject = tiny_subject()
    with subject.trace("abc") as trace:
        with pytest.raises(InputError, match="1 to 31 pieces"):
            logit_lens(trace, k=0)
        with pytest.raises(InputError, match="one a token"):
            logit_lens(trace, targets=[5])
        with pytest.raises(InputError, match="below 31"):
            logit_lens(trace, tokens=1, targets=[31])
        with pytest.raises(InputError, match="there are 5 tokens"):
            logit_lens(trace, tokens=5)
    headless = tiny_subject(has_masked_lm=False)
    with pytest.raises(InputError, match="no logit lens"):
        lens_by_language(headless, [LETTERS])
