"""The packed classifier is the padded reference. Covers xformer.finetuning.inputs.texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from xformer.finetuning.config import BaseConfig, ClassifierConfig, FinetuningConfig
from xformer.finetuning.inputs.texts import TokenTexts
from xformer.finetuning.model import FinetunedModel
from xformer.model.config import ModelConfig
from xformer.model.reference import reference_forward

SMALL = ModelConfig(
    vocab_size=50, d_model=16, n_layers=2, n_heads=2, d_ff=24, window=6, zero_init_residual=False
)
CONFIG = FinetuningConfig(
    BaseConfig("base", 1, max_length=7), SMALL, ClassifierConfig(("a", "b", "c"), dropout=0.0)
)
VARIANTS = {
    "default": CONFIG,
    "all coordinates": replace(CONFIG, classifier=replace(CONFIG.classifier, coordinates="all")),
    "hidden layer": replace(CONFIG, classifier=replace(CONFIG.classifier, hidden=5)),
    "one block": replace(CONFIG, classifier=replace(CONFIG.classifier, layers=1)),
    "no block": replace(CONFIG, classifier=replace(CONFIG.classifier, layers=0)),
    "before the norm": replace(CONFIG, model=replace(SMALL, pool_after_norm=False)),
}


def texts_of(lengths: list[int]) -> TokenTexts:
    rng = np.random.default_rng(len(lengths))
    ids = rng.integers(0, 50, size=sum(lengths)).astype(np.int32)
    return TokenTexts(ids, np.array(lengths, dtype=np.int64), CONFIG.base.max_length)


def reference(
    config: FinetuningConfig, parameters: Mapping[str, Tensor], texts: TokenTexts, text: int
) -> Tensor:
    """Logits (N,) of one text, padded: its chunks of equal length, pooled over all of its tokens."""
    start = int(texts.lengths[:text].sum())
    ids = texts.ids[start : start + int(texts.lengths[text])]
    parts = -(-len(ids) // config.base.max_length)
    chunks = [ids[len(ids) * n // parts : len(ids) * (n + 1) // parts] for n in range(parts)]
    width = config.model.pooled_dim if config.classifier.coordinates == "shared" else config.model.d_model
    pooled = torch.zeros(width, dtype=torch.float64)
    if chunks:
        tokens = torch.zeros(len(chunks), max(map(len, chunks)), dtype=torch.int64)
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        for row, chunk in enumerate(chunks):
            tokens[row, : len(chunk)] = torch.from_numpy(chunk)
            mask[row, : len(chunk)] = True
        encoder = {name[8:]: one for name, one in parameters.items() if name.startswith("encoder.")}
        hidden = reference_forward(
            config.model,
            encoder,
            tokens,
            mask,
            n_layers=config.layers,
            final_norm=config.model.pool_after_norm,
        )
        pooled = hidden[mask].mean(dim=0)[:width]
    x = pooled / (pooled.square().mean() + 1e-12).sqrt()
    if config.classifier.hidden:
        x = F.gelu(parameters["head.dense.weight"] @ x + parameters["head.dense.bias"])
    return parameters["head.out.weight"] @ x + parameters["head.out.bias"]


@pytest.mark.parametrize("name", VARIANTS)
def test_packed_is_padded_in_values_and_gradients(name: str) -> None:
    config = VARIANTS[name]
    torch.manual_seed(1)
    model = FinetunedModel(config).double()
    texts = texts_of([3, 17, 0, 7, 8, 1])
    rows = np.array([4, 1, 0, 2, 5, 3])
    targets = torch.tensor([0, 2, 1, 1, 0, 2])
    parameters = dict(model.named_parameters())
    logits = model(texts.batch(rows))
    expected = torch.stack([reference(config, parameters, texts, int(row)) for row in rows])
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-11)
    # The text without tokens has no direction: its gradient is left out.
    kept = torch.tensor([row != 2 for row in rows])
    found, wanted = (
        torch.autograd.grad(
            F.cross_entropy(one[kept], targets[kept]), list(parameters.values()), allow_unused=True
        )
        for one in (logits, expected)
    )
    for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
        assert (one is None or not one.any()) == (other is None or not other.any()), list(parameters)[place]
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-10)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_batch_has_every_token_of_its_texts_once(lengths: list[int], random: object) -> None:
    texts = texts_of(lengths)
    rows = np.array(random.sample(range(len(lengths)), len(lengths)))  # type: ignore[attr-defined]
    batch = texts.batch(rows)
    starts = np.cumsum(texts.lengths) - texts.lengths
    found: list[list[int]] = [[] for _ in rows]
    packed = batch.packed
    pieces = sorted(zip(batch.text.tolist(), packed.order.tolist(), range(packed.n_sequences), strict=True))
    for text, _, sequence in pieces:
        begin, end = packed.cu_seqlens[sequence], packed.cu_seqlens[sequence + 1]
        found[text] += packed.tokens[begin:end].tolist()
    for place, row in enumerate(rows):
        assert found[place] == texts.ids[starts[row] : starts[row] + texts.lengths[row]].tolist()
    assert packed.max_length <= texts.max_length
    shares = np.bincount(batch.text.numpy(), weights=batch.share.numpy(), minlength=len(rows))
    assert shares == pytest.approx((texts.lengths[rows] > 0).astype(float), abs=1e-6)


def test_a_text_alone_has_the_answer_that_it_has_among_others() -> None:
    torch.manual_seed(0)
    model = FinetunedModel(CONFIG).double().eval()
    texts = texts_of([5, 12, 1, 7])
    together = model(texts.batch(np.arange(4)))
    for row in range(4):
        alone = model(texts.batch(np.array([row])))
        torch.testing.assert_close(alone[0], together[row])
