"""Path patching against sums done by hand: a head's change, carried by the residual stream alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.inspect.analysis.test_patching import AWAY, BASE, DIFFERENCE, SOURCE, TOWARD, difference, states
from tests.inspect.analysis.two_languages import small_subject, tokenise
from xformer.errors import InputError
from xformer.inspect.analysis.patching import patch_heads
from xformer.inspect.analysis.patching_metrics import cosine_to, logit_difference
from xformer.inspect.analysis.path_patching import Receiver, patch_paths
from xformer.inspect.subject import Subject

LINKS = [(3, 4), (0, 1), (5, 2)]


@pytest.fixture(scope="module")
def subject() -> Subject:
    return small_subject()


def sent(subject: Subject, layer: int, head: int) -> Tensor:
    """(n, C) what a head adds to the stream more than in the base run, at the aligned tokens."""
    ours, theirs = (states(subject, text, f"layers.{layer}.attn.heads") for text in (BASE, SOURCE))
    change = torch.zeros(len(BASE), 16, dtype=torch.float64)
    block: Any = subject.network.encoder.layers[layer]
    wo = block.attn.Wo.weight.detach()[:, 4 * head : 4 * head + 4]
    for here, there in LINKS:
        change[here] = wo @ (theirs[there, head] - ours[here, head])
    return change


def test_direct_paths_to_the_end_by_hand(subject: Subject) -> None:
    """With all between held, the last stream is that of the base run and what the head sends."""
    effect = patch_paths(subject, BASE, SOURCE, LINKS, DIFFERENCE)
    last = states(subject, BASE, "layers.2.resid_post")
    for layer in range(3):
        for head in range(4):
            with torch.no_grad():
                by_hand = difference(subject, last + sent(subject, layer, head))
            assert float(effect.patched[layer, head]) == pytest.approx(float(by_hand))


def test_the_path_to_a_sentence_s_vector_by_hand() -> None:
    """The vector is the mean of the stream after layer 1; what the last layer sends comes too late."""
    subject = small_subject(layer=2)
    goal = torch.arange(12.0)
    effect = patch_paths(subject, BASE, SOURCE, LINKS, cosine_to(goal))
    stream = states(subject, BASE, "layers.1.resid_post")
    for layer in range(2):
        vector = (stream + sent(subject, layer, 2))[:, :12].mean(0)
        by_hand = F.cosine_similarity(vector, goal.double(), dim=0)
        assert float(effect.patched[layer, 2]) == pytest.approx(float(by_hand))
    torch.testing.assert_close(effect.patched[2], torch.full((4,), effect.base, dtype=torch.float64))


def test_the_path_to_a_head_s_values_by_hand(subject: Subject) -> None:
    """Layer 2, head 1 mixes, by its own weights, values of the base stream and what the sender adds to it."""
    effect = patch_paths(subject, BASE, SOURCE, LINKS, DIFFERENCE, receiver=Receiver(2, 1, "v"))
    assert effect.patched[2].isnan().all()
    assert not effect.patched[:2].isnan().any()
    block: Any = subject.network.encoder.layers[2]
    with subject.trace([BASE], keep="layers.2.attn.*") as trace:
        weights, before = trace["layers.2.attn.weights"][0], trace["layers.2.attn.heads"][0]
    stream = states(subject, BASE, "layers.2.resid_pre")
    for layer in range(2):
        with torch.no_grad():
            read = F.layer_norm(
                stream + sent(subject, layer, 3), (16,), block.attn_norm.weight, eps=block.attn_norm.eps
            )
            v = F.linear(read, block.attn.Wqkv.weight[32 + 4 : 32 + 8])
            heads = before.clone()
            heads[:, 1] = weights[1] @ v
            middle = stream + block.attn.Wo(heads.flatten(1))
            normed = F.layer_norm(middle, (16,), block.mlp_norm.weight, eps=block.mlp_norm.eps)
            by_hand = difference(subject, middle + block.mlp(normed))
        assert float(effect.patched[layer, 3]) == pytest.approx(float(by_hand))


def test_paths_through_feed_forwards_only_where_these_are_free(subject: Subject) -> None:
    """With one layer's feed-forward between head and end, a free one makes it activation patching."""
    subject = small_subject(n_layers=1)
    free = patch_paths(subject, BASE, SOURCE, LINKS, DIFFERENCE, hold_feed_forward=False)
    held = patch_paths(subject, BASE, SOURCE, LINKS, DIFFERENCE)
    torch.testing.assert_close(free.patched, patch_heads(subject, BASE, SOURCE, LINKS, DIFFERENCE).patched)
    assert not torch.isclose(free.patched, held.patched).any()


def test_queries_and_keys_are_received_where_they_turn_with_position(subject: Subject) -> None:
    """A text's own outputs change nothing, whatever is received."""
    links = [(k, k) for k in range(len(BASE))]
    metric = logit_difference(TOWARD, AWAY, base_token=3, source_token=3)
    for part in ("q", "k", "v"):
        receiver = Receiver(1, 0, part)
        same = patch_paths(subject, BASE, BASE, links, metric, receiver=receiver, at_once=3)
        torch.testing.assert_close(same.patched[0], torch.full((4,), same.base, dtype=torch.float64))
        other = patch_paths(subject, BASE, tokenise("das ?er"), links, metric, receiver=receiver)
        assert not torch.isclose(other.patched[0], same.patched[0]).any()


@pytest.mark.parametrize(
    ("receiver", "said"),
    [
        (Receiver(0, 0, "q"), "expected a layer from 1 to 2, got 0"),
        (Receiver(3, 0, "q"), "expected a layer from 1 to 2, got 3"),
        (Receiver(1, 4, "q"), "expected a head from 0 to 3, got 4"),
        (Receiver(1, 0, "o"), "expected an input q, k or v, got 'o'"),  # type: ignore[arg-type]
    ],
)
def test_a_receiver_that_is_not_there_is_named(subject: Subject, receiver: Receiver, said: str) -> None:
    with pytest.raises(InputError, match=said):
        patch_paths(subject, BASE, SOURCE, LINKS, DIFFERENCE, receiver=receiver)
