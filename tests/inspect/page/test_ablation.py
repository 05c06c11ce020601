"""The effects of heads, beside ones computed one head and one hidden token at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.inspect.page.small import letters, small_subject
from xformer.inspect.interventions import Intervention, ablate
from xformer.inspect.page.ablation import ablation, hidden_places


def test_hidden_places_by_hand() -> None:
    assert hidden_places(letters("abc"), 8) == [1, 2, 3]
    assert hidden_places(letters("abcdefgh"), 4) == [1, 3, 5, 7]
    assert hidden_places(letters(""), 4) == []


@pytest.mark.parametrize("batch_tokens", [1, 40, 8192])
def test_effects_on_the_loss(batch_tokens: int) -> None:
    subject = small_subject()
    text = subject.tokenise("abcd")
    part = ablation(subject, text, batch_tokens=batch_tokens)

    def loss(*changes: Intervention) -> float:
        losses = []
        for place in range(1, 5):
            ids = text.ids.copy()
            ids[place] = 2  # the mask
            with subject.trace(text.with_ids(ids), keep=["final"], interventions=changes) as trace:
                losses.append(float(-trace.logits(0, place).log_softmax(-1)[0, int(text.ids[place])]))
        return float(np.mean(losses))

    base = loss()
    assert part["measure"] == "loss"
    assert part["hidden"] == [1, 2, 3, 4]
    assert part["base"] == pytest.approx(base, rel=1e-5)
    expected = [
        [loss(ablate(f"layers.{layer}.attn.heads", heads=head)) - base for head in range(2)]
        for layer in range(2)
    ]
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(part["effects"], expected, atol=1e-5)


def test_a_head_that_does_nothing_has_no_effect() -> None:
    subject = small_subject()
    with torch.no_grad():
        subject.network.encoder.get_submodule("layers.1.attn.Wo").get_parameter("weight")[:, :8] = 0
    effects = np.array(ablation(subject, subject.tokenise("abcd"))["effects"])
    assert abs(effects[1, 0]) < 1e-6
    assert abs(effects[1, 1]) > 1e-6


def test_without_a_masked_lm_the_vector_is_compared() -> None:
    subject = small_subject(masked_lm=False)
    part = ablation(subject, subject.tokenise("abcd"))
    with subject.trace("abcd", keep=["sentence"]) as trace:
        before = trace["sentence"][0]
    with subject.trace(
        "abcd", keep=["sentence"], interventions=[ablate("layers.1.attn.heads", heads=1)]
    ) as trace:
        after = trace["sentence"][0]
    assert part["measure"] == "vector"
    assert part["effects"][1][1] == pytest.approx(
        1 - float(F.cosine_similarity(before, after, dim=0)), abs=1e-9
    )
    assert part["effects"][1][1] > 1e-6


def test_a_text_of_special_tokens_says_why() -> None:
    subject = small_subject()
    assert "no token to hide" in ablation(subject, subject.tokenise(""))["why"]
