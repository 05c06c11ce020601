"""Attributions against sums along the path by the padded reference model and autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.inspect.analysis.tiny_subject import MASK, parameters, tiny_subject, tokenise
from xformer.errors import InputError
from xformer.inspect.analysis.attribution import Attribution, attribute_prediction, attribute_similarity
from xformer.inspect.analysis.statistics import rank_correlation
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TokenisedText
from xformer.model.reference import reference_block, reference_forward, reference_masked_lm, reference_pooling

POINTS = 2000


def embedded(subject: Subject, ids: np.ndarray) -> Tensor:
    """(n, C): the reference without a block."""
    tokens = torch.from_numpy(ids)[None]
    mask = torch.ones_like(tokens, dtype=torch.bool)
    return reference_forward(subject.config, parameters(subject), tokens, mask, n_layers=0, final_norm=False)[
        0
    ]


def blocks(subject: Subject, x: Tensor, n_layers: int) -> Tensor:
    """(m, n, C) through the reference's blocks."""
    its, mask = parameters(subject), torch.ones(x.shape[:2], dtype=torch.bool)
    for layer in range(n_layers):
        x = reference_block(subject.config, its, layer, x, mask)
    return x


def along_the_path(f: Callable[[Tensor], Tensor], x: Tensor, start: Tensor) -> Tensor:
    """(n,) by the midpoint rule with many points."""
    shares = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS
    points = (start + shares[:, None, None] * (x - start)).requires_grad_()
    slopes = torch.autograd.grad(f(points).sum(), points)[0]
    return ((x - start) * slopes.mean(0)).sum(-1)


def final_norm(subject: Subject, x: Tensor) -> Tensor:
    """Compared with the reference in the tests of the encoder."""
    found: Tensor = subject.network.encoder.final_norm(x.flatten(0, 1))
    return found.view_as(x)


@pytest.mark.parametrize("architecture", ["ours", "bert"])
def test_a_prediction(architecture: str) -> None:
    subject = tiny_subject(architecture)
    found = attribute_prediction(subject, "hello", 3, tolerance=1e-4)
    assert found.target == tokenise("hello").ids[3]
    ids = tokenise("hello").ids.copy()
    ids[3] = MASK
    np.testing.assert_array_equal(found.text.ids, ids)
    assert found.text.pieces[3] == "<mask>"
    head = subject.network.masked_lm.state_dict()
    table = parameters(subject)["embeddings.tok_embeddings.weight"]

    def log_p(x: Tensor) -> Tensor:
        hidden = final_norm(subject, blocks(subject, x, 3))[:, 3]
        return reference_masked_lm(subject.config, head, hidden, table).log_softmax(-1)[:, found.target]

    start = ids.copy()
    start[1:-1] = MASK
    x, baseline = embedded(subject, ids), embedded(subject, start)
    assert found.path.value == pytest.approx(float(log_p(x[None])[0].detach()), rel=1e-9)
    assert found.path.baseline_value == pytest.approx(float(log_p(baseline[None])[0].detach()), rel=1e-9)
    leaf = x[None].clone().requires_grad_()
    slope = torch.autograd.grad(log_p(leaf).sum(), leaf)[0][0]
    np.testing.assert_allclose(found.gradient, (x * slope).sum(-1), rtol=1e-6, atol=1e-10)
    expected = along_the_path(log_p, x, baseline)
    size = float(expected.abs().sum())
    np.testing.assert_allclose(found.integrated, expected, atol=2e-4 * size)
    assert found.path.converged
    total = float(found.integrated.sum())
    assert abs(total - (found.path.value - found.path.baseline_value)) <= 1e-4 * size
    with subject.trace(found.text) as trace:
        rows = [trace[f"layers.{layer}.attn.weights"][0][:, 3] for layer in range(3)]
    np.testing.assert_allclose(found.attention, torch.stack(rows).mean((0, 1)), atol=1e-12)
    assert found.attention.sum() == pytest.approx(1)


@pytest.mark.parametrize("architecture", ["ours", "bert"])
def test_a_similarity(architecture: str) -> None:
    subject = tiny_subject(architecture, layer=2)
    found = attribute_similarity(subject, "hello", "world", tolerance=1e-4, batch_tokens=70)
    weight, width = subject.network.pooling.weight, subject.config.pooled_dim

    def vectors(x: Tensor) -> Tensor:
        hidden = blocks(subject, x, 2)[..., :width]
        return reference_pooling(hidden, torch.ones(x.shape[:2], dtype=torch.bool), weight)

    other = vectors(embedded(subject, tokenise("world").ids)[None])[0].detach()

    def cosine(x: Tensor) -> Tensor:
        return F.cosine_similarity(vectors(x), other, dim=-1)

    ids = tokenise("hello").ids
    start = ids.copy()
    start[1:-1] = MASK
    x, baseline = embedded(subject, ids), embedded(subject, start)
    assert found.path.value == pytest.approx(float(cosine(x[None])[0].detach()), rel=1e-9)
    expected = along_the_path(cosine, x, baseline)
    np.testing.assert_allclose(found.integrated, expected, atol=2e-4 * float(expected.abs().sum()))
    with subject.trace("hello") as trace:
        received = [trace[f"layers.{layer}.attn.weights"][0].mean((0, 1)) for layer in range(2)]
    np.testing.assert_allclose(found.attention, torch.stack(received).mean(0), atol=1e-9)
    same = attribute_similarity(subject, "hello", other, tolerance=1e-4)
    np.testing.assert_allclose(same.integrated, found.integrated, atol=1e-9)


def test_a_text_that_has_the_mask_is_asked_for_its_most_probable_piece() -> None:
    subject = tiny_subject()
    found = attribute_prediction(subject, "he_lo", 3)
    with subject.trace("he_lo") as trace:
        assert found.target == int(trace.logits(0, 3).argmax())
    assert f"at token {found.token}" in found.what


def test_agreement_leaves_out_what_is_the_same_in_the_baseline() -> None:
    scores = np.array([9.0, 1.0, -2.0, 3.0, 9.0])
    path = attribute_prediction(tiny_subject(), "abc", 2).path
    found = Attribution(tokenise("abc"), "", 2, 5, scores, scores**2, -scores[::-1], path)
    # Left are tokens 1 and 3: sizes 1, 3 and 1, 9 and 3, 1.
    assert found.agreement() == {
        ("attention", "gradient"): pytest.approx(1),
        ("attention", "integrated"): pytest.approx(-1),
        ("gradient", "integrated"): pytest.approx(-1),
    }
    everywhere = found.agreement(special=True)
    assert everywhere["attention", "integrated"] == pytest.approx(
        rank_correlation([9, 1, 2, 3, 9], [9, 3, 2, 1, 9])
    )


def test_other_baselines_and_limits() -> None:
    subject = tiny_subject("bert")
    zero = attribute_prediction(subject, "abc", 1, baseline="zero", max_steps=16)
    assert zero.path.steps == 16
    assert zero.path.error == pytest.approx(
        abs(zero.integrated.sum() - (zero.path.value - zero.path.baseline_value)), abs=1e-9
    )
    empty = TokenisedText("", np.zeros(0, dtype=np.int64), (), (), (), ())
    no_mask = replace(subject, tokens=replace(subject.tokens, mask_id=None))
    for wrong, message in (
        (lambda: attribute_prediction(subject, "abc", 0), "it is <s>|is <s>"),
        (lambda: attribute_prediction(subject, "abc", 5), "5 tokens"),
        (lambda: attribute_prediction(subject, "abc", 1, 99), "31 pieces"),
        (lambda: attribute_prediction(subject, "abc", 1, layers=[3]), "3 layers"),
        (lambda: attribute_prediction(subject, "abc", 1, baseline="nil"), "mask or zero"),  # type: ignore[arg-type]
        (lambda: attribute_prediction(subject, "abc", 1, max_steps=8), "max_steps"),
        (lambda: attribute_prediction(no_mask, "abc", 1), "no mask token"),
        (lambda: attribute_similarity(no_mask, "abc", "abd"), "baseline='zero'"),
        (lambda: attribute_similarity(subject, "abc", torch.ones(3)), "24 numbers"),
        (lambda: attribute_similarity(subject, empty, "abc"), "has tokens"),
    ):
        with pytest.raises(InputError, match=message):
            wrong()
