"""Importance of heads against the padded reference model with a factor on the columns of a head's projection.

The output of head h goes into the columns of Wo that are its own, so a factor on these is the factor ξ, and
zero there removes it. Covers `importance` and `replaced_heads`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.inspect.analysis.tiny_subject import LETTERS, MASK, parameters, tiny_subject, tokenise
from xformer.errors import InputError
from xformer.inspect.analysis.hidden import HiddenText, hide
from xformer.inspect.analysis.importance import masked_importance, sentence_importance
from xformer.inspect.analysis.replaced_heads import Replacement
from xformer.inspect.analysis.statistics import rank_correlation
from xformer.inspect.subject import Subject
from xformer.model.reference import reference_forward, reference_masked_lm, reference_pooling

TEXTS = ["abcdefgh", "hello", "aa", "zyxwvutsrq"]
LANGUAGES = ["x", "y", "x", "y"]
STEP = 1e-5

Change = Callable[[dict[str, Tensor]], None]


def factor(subject: Subject, layer: int, head: int, value: float, added: Tensor | None = None) -> Change:
    """A factor on a head's output, and what is added to it, written into the output projection."""
    own = slice(head * subject.config.d_head, (head + 1) * subject.config.d_head)
    name = f"layers.{layer}.attn.Wo"

    def change(its: dict[str, Tensor]) -> None:
        weight = its[f"{name}.weight"]
        if added is not None:
            bias = its.get(f"{name}.bias", torch.zeros(len(weight), dtype=weight.dtype))
            its[f"{name}.bias"] = bias + weight[:, own] @ added
        weight[:, own] *= value

    return change


def hidden_by_reference(subject: Subject, ids: np.ndarray, change: Change | None, n_layers: int) -> Tensor:
    its = parameters(subject)
    if change:
        change(its)
    tokens = torch.from_numpy(ids)[None]
    final = n_layers == subject.config.n_layers
    mask = torch.ones_like(tokens, dtype=torch.bool)
    return reference_forward(subject.config, its, tokens, mask, n_layers=n_layers, final_norm=final)


def loss_by_reference(subject: Subject, one: HiddenText, change: Change | None = None) -> float:
    hidden = hidden_by_reference(subject, one.text.ids, change, 3)[0, one.places]
    table = parameters(subject)["embeddings.tok_embeddings.weight"]
    head = subject.network.masked_lm.state_dict()
    logits = reference_masked_lm(subject.config, head, hidden, table)
    return float(F.cross_entropy(logits, torch.from_numpy(one.targets)))


@pytest.mark.parametrize("architecture", ["ours", "bert"])
def test_masked_importance_is_that_of_the_reference(architecture: str) -> None:
    subject = tiny_subject(architecture)
    hidden = hide([tokenise(text) for text in TEXTS], LANGUAGES, mask_id=MASK, rate=0.4)
    how: tuple[Replacement, ...] = ("zero", "mean", "language")
    found = masked_importance(subject, TEXTS, LANGUAGES, rate=0.4, how=how, batch_tokens=15)
    assert found.language == tuple(one.language for one in hidden)
    assert found.left_out == len(TEXTS) - len(hidden)
    with subject.trace([one.text for one in hidden]) as trace:
        outputs = [trace[f"layers.{layer}.attn.heads"] for layer in range(3)]
    means = [its.packed.mean(0) for its in outputs]
    own = [
        {
            tag: torch.cat([its[n] for n, one in enumerate(hidden) if one.language == tag]).mean(0)
            for tag in "xy"
        }
        for its in outputs
    ]
    for number, one in enumerate(hidden):
        untouched = loss_by_reference(subject, one)
        assert found.untouched[number] == pytest.approx(untouched, rel=1e-9)
        for layer in range(3):
            for head in range(3):

                def loss(value: float, added: Tensor | None = None) -> float:
                    return loss_by_reference(subject, one, factor(subject, layer, head, value, added))  # noqa: B023

                slope = (loss(1 + STEP) - loss(1 - STEP)) / (2 * STEP)
                assert found.gradient[number, layer, head] == pytest.approx(abs(slope), rel=1e-5, abs=1e-8)
                zero = found.change["zero"][number, layer, head]
                assert zero == pytest.approx(loss(0.0) - untouched, abs=1e-9)
                mean = found.change["mean"][number, layer, head]
                assert mean == pytest.approx(loss(0.0, means[layer][head]) - untouched, abs=1e-9)
                language = found.change["language"][number, layer, head]
                kept = own[layer][one.language][head]
                assert language == pytest.approx(loss(0.0, kept) - untouched, abs=1e-9)


def test_what_is_reported_of_the_values_by_text() -> None:
    subject = tiny_subject()
    found = masked_importance(subject, TEXTS, LANGUAGES, rate=0.9, how=["zero"])
    assert found.languages == ("x", "y")
    y = [number for number, tag in enumerate(found.language) if tag == "y"]
    assert found.by_ablation("zero", "y").n == len(y) == 2
    np.testing.assert_allclose(found.by_ablation("zero", "y").value, found.change["zero"][y].mean(0))
    np.testing.assert_allclose(found.by_gradient("y").value, found.gradient[y].mean(0))
    sizes = np.abs(found.change["zero"]).mean(0)
    np.testing.assert_allclose(found.size_by_ablation("zero").value, sizes)
    expected = rank_correlation(found.gradient.mean(0), sizes)
    assert found.agreement("zero") == pytest.approx(expected)
    between = found.between_languages("zero")
    np.testing.assert_allclose(np.diag(between), 1)
    np.testing.assert_allclose(between, between.T)
    with pytest.raises(InputError, match="'z'; there are x, y"):
        found.by_gradient("z")
    with pytest.raises(InputError, match="expected one of zero, got 'mean'"):
        found.by_ablation("mean")


def vector_by_reference(subject: Subject, text: str, change: Change | None, layer: int) -> Tensor:
    ids = tokenise(text).ids
    its = parameters(subject)
    if change:
        change(its)
    tokens = torch.from_numpy(ids)[None]
    mask = torch.ones_like(tokens, dtype=torch.bool)
    hidden = reference_forward(subject.config, its, tokens, mask, n_layers=layer, final_norm=False)
    weight = subject.network.pooling.weight
    return reference_pooling(hidden[..., : subject.config.pooled_dim], mask, weight)[0].detach()


@pytest.mark.parametrize("architecture", ["ours", "bert"])
def test_sentence_importance_is_that_of_the_reference(architecture: str) -> None:
    subject = tiny_subject(architecture, layer=2)
    texts = TEXTS[:2]
    found = sentence_importance(subject, texts, how=["zero"], probes=150, batch_tokens=9)
    np.testing.assert_allclose(found.untouched, 0, atol=1e-12)
    assert (found.gradient[:, 2] == 0).all()
    np.testing.assert_allclose(found.change["zero"][:, 2], 0, atol=1e-12)
    for number, text in enumerate(texts):
        untouched = vector_by_reference(subject, text, None, 2)
        for layer in range(2):
            for head in range(3):
                without = vector_by_reference(subject, text, factor(subject, layer, head, 0.0), 2)
                away = 1 - float(F.cosine_similarity(without, untouched, dim=0))
                assert found.change["zero"][number, layer, head] == pytest.approx(away, abs=1e-9)
                above, below = (
                    vector_by_reference(subject, text, factor(subject, layer, head, 1 + step), 2)
                    for step in (STEP, -STEP)
                )
                slope = (above - below) / (2 * STEP)
                unit = untouched / untouched.norm()
                across = slope - (slope @ unit) * unit
                second = float(across @ across / (untouched @ untouched)) / 2
                # 150 random directions: a standard deviation of at most √(2/150), 12 of 100.
                assert found.gradient[number, layer, head] == pytest.approx(second, rel=0.45)


def test_wrong_questions() -> None:
    subject = tiny_subject()
    with pytest.raises(InputError, match="sentence_importance"):
        masked_importance(tiny_subject(has_masked_lm=False), TEXTS)
    with pytest.raises(InputError, match="zero, mean, language"):
        masked_importance(subject, TEXTS, rate=0.9, how=["half"])  # type: ignore[list-item]
    with pytest.raises(InputError, match="one for each of 4"):
        sentence_importance(subject, TEXTS, ["x"])
    with pytest.raises(InputError, match="probes"):
        sentence_importance(subject, TEXTS, probes=0)
    with pytest.raises(InputError, match="rate"):
        masked_importance(subject, [LETTERS], rate=2)
