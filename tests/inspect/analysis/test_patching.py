"""Activation patching against what a patch must do, and against sums done by hand with the model's parts.

Covers `patching_metrics`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.inspect.analysis.two_languages import FIRST_LETTER, MASK, small_subject, tokenise
from xformer.errors import InputError
from xformer.inspect.analysis.patching import blocks, patch_heads, patch_tokens
from xformer.inspect.analysis.patching_metrics import (
    cosine_to,
    logit_difference,
    mask,
    probability,
    recovered,
)
from xformer.inspect.subject import Subject

BASE, SOURCE = tokenise("the ?at"), tokenise("das t?er")  # 6 and 7 tokens; masks at 3 and 4
TOWARD, AWAY = 20, 30
DIFFERENCE = logit_difference(TOWARD, AWAY, base_token=3, source_token=4)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return small_subject()


def states(subject: Subject, text: Any, name: str) -> Tensor:
    with subject.trace([text], keep=name) as trace:
        found: Tensor = trace[name][0]
    return found


def difference(subject: Subject, last: Tensor) -> Tensor:
    """The logit difference of last states (n, C) at token 3, computed by the model's parts."""
    network = subject.network
    logits = network.masked_lm(
        network.encoder.final_norm(last), torch.tensor([3]), network.encoder.token_embedding
    )
    return logits[0, TOWARD] - logits[0, AWAY]


def test_the_scale_by_hand() -> None:
    patched = torch.tensor([-2.0, 1.0, 4.0, 5.5])
    torch.testing.assert_close(recovered(patched, -2.0, 4.0), torch.tensor([0.0, 0.5, 1.0, 1.25]))
    assert recovered(patched, 4.0, 4.0).isnan().all()


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_all_states_of_a_text_of_the_same_length_make_it_that_text(norm_position: str) -> None:
    subject = small_subject(norm_position=norm_position, **post_norm(norm_position))
    base, source = tokenise("the ?at"), tokenise("das ?er")
    every = [[(k, k) for k in range(len(base))]]
    metric = logit_difference(TOWARD, AWAY, base_token=3, source_token=3)
    effect = patch_tokens(subject, base, source, every, metric)
    assert effect.base != pytest.approx(effect.source)
    torch.testing.assert_close(effect.recovered, torch.ones(3, 1, dtype=torch.float64))


def post_norm(norm_position: str) -> dict[str, Any]:
    return {} if norm_position == "pre" else {"final_norm": False, "skip_first_norm": False}


def test_a_text_that_is_patched_with_itself_stays_as_it_is(subject: Subject) -> None:
    links = [(k, k) for k in range(len(BASE))]
    metric = logit_difference(TOWARD, AWAY, base_token=3, source_token=3)
    for hold in (False, True):
        effect = patch_tokens(subject, BASE, BASE, [*links, links], metric, hold_attention=hold)
        torch.testing.assert_close(effect.patched, torch.full((3, 7), effect.base, dtype=torch.float64))
        assert effect.recovered.isnan().all()  # there is no way to go


def test_after_the_last_layer_only_the_masked_token_counts(subject: Subject) -> None:
    effect = patch_tokens(subject, BASE, SOURCE, [(0, 0), (3, 4), (4, 5)], DIFFERENCE)
    torch.testing.assert_close(effect.recovered[-1], torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    # Further down the other tokens count too: attention is still to come.
    assert (effect.recovered[0].abs() > 1e-3).all()
    with subject.trace([SOURCE], keep=[]) as trace:
        row = trace.logits(0, 4)[0]
    assert effect.source == pytest.approx(float(row[TOWARD] - row[AWAY]))


def test_probability_by_hand(subject: Subject) -> None:
    effect = patch_tokens(subject, BASE, SOURCE, [(3, 4)], probability(TOWARD, base_token=3, source_token=4))
    for text, token, found in ((BASE, 3, effect.base), (SOURCE, 4, effect.source)):
        with subject.trace([text], keep=[]) as trace:
            logits = trace.logits(0, token)[0]
        assert found == pytest.approx(float((logits[TOWARD] - logits.logsumexp(0)).exp()))
    assert float(effect.patched[-1, 0]) == pytest.approx(effect.source)


def test_cosine_after_the_last_layer_by_hand(subject: Subject) -> None:
    """The vector is the mean of the first coordinates of the tokens' states, of which one is changed."""
    ours, theirs = (states(subject, text, "layers.2.resid_post")[:, :12] for text in (BASE, SOURCE))
    effect = patch_tokens(subject, BASE, SOURCE, [(1, 5)], cosine_to(theirs.mean(0)))
    changed = ours.clone()
    changed[1] = theirs[5]
    assert effect.base == pytest.approx(float(F.cosine_similarity(ours.mean(0), theirs.mean(0), dim=0)))
    assert effect.source == pytest.approx(1)
    by_hand = F.cosine_similarity(changed.mean(0), theirs.mean(0), dim=0)
    assert float(effect.patched[-1, 0]) == pytest.approx(float(by_hand))
    way = (by_hand - effect.base) / (1 - effect.base)
    assert float(effect.recovered[-1, 0]) == pytest.approx(float(way))


def test_a_patch_behind_the_sentence_s_layer_moves_nothing() -> None:
    subject = small_subject(layer=2)
    effect = patch_tokens(subject, BASE, SOURCE, [(0, 0)], cosine_to(torch.ones(12)))
    assert float(effect.patched[2, 0]) == effect.base
    assert float(effect.patched[1, 0]) != pytest.approx(effect.base)


def test_held_attention_by_hand(subject: Subject) -> None:
    """After layer 1 a token is patched; layer 2 mixes its new values with the weights it had before."""
    effect = patch_tokens(subject, BASE, SOURCE, [(0, 6)], DIFFERENCE, hold_attention=True)
    free = patch_tokens(subject, BASE, SOURCE, [(0, 6)], DIFFERENCE)
    stream = states(subject, BASE, "layers.1.resid_post").clone()
    stream[0] = states(subject, SOURCE, "layers.1.resid_post")[6]
    with subject.trace([BASE], keep="layers.2.attn.weights") as trace:
        weights = trace["layers.2.attn.weights"][0]
    block: Any = subject.network.encoder.layers[2]
    with torch.no_grad():
        v = F.linear(normed(block.attn_norm, stream), block.attn.Wqkv.weight[32:]).view(-1, 4, 4)
        stream = stream + block.attn.Wo(torch.einsum("hij,jhd->ihd", weights, v).flatten(1))
        stream = stream + block.mlp(normed(block.mlp_norm, stream))
        by_hand = difference(subject, stream)
    assert float(effect.patched[1, 0]) == pytest.approx(float(by_hand))
    assert float(free.patched[1, 0]) != pytest.approx(float(by_hand))
    # Behind the last layer no attention is left to hold.
    assert float(effect.patched[2, 0]) == pytest.approx(float(free.patched[2, 0]))


def normed(norm: Any, x: Tensor) -> Tensor:
    """LayerNorm without bias."""
    return F.layer_norm(x, (x.shape[-1],), norm.weight, eps=norm.eps)


def test_heads_of_the_last_layer_by_hand(subject: Subject) -> None:
    links = [(3, 4), (0, 1)]
    effect = patch_heads(subject, BASE, SOURCE, links, DIFFERENCE)
    assert effect.patched.shape == (3, 4)
    block: Any = subject.network.encoder.layers[2]
    ours, theirs = (states(subject, text, "layers.2.attn.heads") for text in (BASE, SOURCE))
    for head in range(4):
        heads = ours.clone()
        for here, there in links:
            heads[here, head] = theirs[there, head]
        with torch.no_grad():
            stream = states(subject, BASE, "layers.2.resid_pre") + block.attn.Wo(heads.flatten(1))
            stream = stream + block.mlp(normed(block.mlp_norm, stream))
            by_hand = difference(subject, stream)
        assert float(effect.patched[2, head]) == pytest.approx(float(by_hand))


def test_the_number_of_copies_changes_nothing(subject: Subject) -> None:
    links = [(k, k) for k in range(5)]
    for hold in (False, True):
        several = patch_tokens(subject, BASE, SOURCE, links, DIFFERENCE, hold_attention=hold)
        pairwise = patch_tokens(subject, BASE, SOURCE, links, DIFFERENCE, hold_attention=hold, at_once=2)
        torch.testing.assert_close(several.patched, pairwise.patched)


def test_mask_hides_one_token() -> None:
    text = tokenise("a tree")
    assert mask(text, 1, MASK).ids.tolist() == [*text.ids[:1], MASK, *text.ids[2:]]
    assert text.ids.tolist()[1] == FIRST_LETTER + ord("t") % 64
    with pytest.raises(InputError, match="no token that hides others"):
        mask(text, 1, None)
    with pytest.raises(InputError, match="token: expected 0 to 4, got 5"):
        mask(text, 5, MASK)


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ([(0, 7)], "expected pairs of tokens 0 to 5 and 0 to 6, got 0-7"),
        ([(-1, 0)], "got -1-0"),
        ([[(0, 0), (0, 1)]], "expected one source token for each base token"),
        ([[]], "expected an aligned token or more"),
    ],
)
def test_links_that_do_not_fit_are_named(subject: Subject, links: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        patch_tokens(subject, BASE, SOURCE, links, DIFFERENCE)


def test_unknown_names_and_answers_are_refused(subject: Subject) -> None:
    with pytest.raises(InputError, match="there is no activation"):
        patch_tokens(subject, BASE, SOURCE, [(0, 0)], DIFFERENCE, site="resid_end")
    beyond = logit_difference(80, 0, base_token=3, source_token=4)
    with pytest.raises(InputError, match="expected a token id from 0 to 79, got 80"):
        patch_tokens(subject, BASE, SOURCE, [(0, 0)], beyond)


def test_blocks() -> None:
    assert blocks(5, 2) == [[0, 1], [2, 3], [4]]
    assert blocks(0, 2) == []
