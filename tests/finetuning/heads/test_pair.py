"""Heads for pairs and for words, beside their definitions. Covers all of xformer.finetuning.heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from tests.finetuning.test_model import CONFIG
from xformer.finetuning.config import ExampleKind, FinetuningConfig
from xformer.finetuning.heads.pair import PairHead
from xformer.finetuning.inputs.pairs import TokenPairs
from xformer.finetuning.inputs.texts import TokenTexts
from xformer.finetuning.inputs.words import TokenWords
from xformer.finetuning.model import FinetunedModel
from xformer.finetuning.parameter_groups import freeze_unused
from xformer.model.reference import reference_forward


def config_of(example: ExampleKind, **changes: object) -> FinetuningConfig:
    classifier = replace(CONFIG.classifier, example=example, **changes)  # type: ignore[arg-type]
    return replace(CONFIG, classifier=classifier)


def model_of(config: FinetuningConfig) -> FinetunedModel:
    torch.manual_seed(1)
    return FinetunedModel(config).double().eval()


def texts_of(lengths: list[int]) -> TokenTexts:
    rng = np.random.default_rng(len(lengths))
    ids = rng.integers(0, 50, size=sum(lengths)).astype(np.int32)
    return TokenTexts(ids, np.array(lengths, dtype=np.int64), CONFIG.base.max_length)


def test_a_pair_is_read_as_its_texts_are_alone() -> None:
    model, texts = model_of(config_of("pair", hidden=5)), texts_of([3, 17, 0, 7, 8, 1])
    alone = FinetunedModel(CONFIG).double().eval()
    alone.load_state_dict({k: v for k, v in model.state_dict().items() if "head" not in k}, strict=False)
    vectors = alone.vectors(texts.batch(np.arange(6)))
    rows = np.array([2, 0, 1])
    logits = model(TokenPairs(texts).batch(rows))
    p = dict(model.named_parameters())
    for row, found in zip(rows, logits, strict=True):
        u, v = (one / (one.square().mean() + 1e-12).sqrt() for one in vectors[[2 * row, 2 * row + 1]])
        x = torch.cat([u, v, (u - v).abs(), u * v])
        x = F.gelu(p["head.dense.weight"] @ x + p["head.dense.bias"])
        torch.testing.assert_close(found, p["head.out.weight"] @ x + p["head.out.bias"])


def test_the_product_s_sum_is_the_cosine() -> None:
    head, vectors = PairHead(6, 2, 0, 0.0, 0.02).double(), torch.randn(5, 12, dtype=torch.float64)
    features = head.features(vectors)
    cosines = F.cosine_similarity(vectors[:, :6], vectors[:, 6:])
    torch.testing.assert_close(features[:, 18:].mean(dim=1), cosines)
    torch.testing.assert_close(head.features(torch.zeros(1, 12)), torch.zeros(1, 24))


def words_of(lengths: list[list[int]]) -> TokenWords:
    """Sentences of words with so many pieces each."""
    texts = texts_of([sum(one) for one in lengths])
    first = [sum(one[:at]) if one[at] else -1 for one in lengths for at in range(len(one))]
    return TokenWords(
        texts,
        np.ones(len(lengths), dtype=np.int64),
        np.array(list(map(len, lengths))),
        np.array(first, dtype=np.int64),
    )


def test_a_word_is_the_hidden_state_of_its_first_piece() -> None:
    config = config_of("words", coordinates="all")
    model, words = model_of(config), words_of([[1, 3, 1], [2], [], [0, 2, 1]])
    parameters = {name[8:]: one for name, one in model.state_dict().items() if name.startswith("encoder.")}
    rows = np.array([3, 2, 0, 1])
    logits = model(words.batch(rows))
    starts = np.cumsum(words.lengths) - words.lengths
    expected = []
    for row in rows:
        ids = words.texts.ids[starts[row] : starts[row] + words.lengths[row]]
        bounds = np.concatenate([[0], np.cumsum(words.units)])
        if len(ids):
            hidden = reference_forward(
                config.model,
                parameters,
                torch.from_numpy(ids.astype(np.int64))[None],
                torch.ones(1, len(ids), dtype=torch.bool),
                n_layers=2,
                final_norm=True,
            )[0]
        for first in words.first[bounds[row] : bounds[row + 1]]:
            vector = hidden[first] if first >= 0 else torch.zeros(16, dtype=torch.float64)
            x = vector / (vector.square().mean() + 1e-12).sqrt()
            expected.append(model.head.out.weight @ x + model.head.out.bias)
    torch.testing.assert_close(logits, torch.stack(expected))
    assert torch.equal(logits[0], model.head.out.bias)  # the word without pieces


def test_sentences_without_a_piece_have_the_biases() -> None:
    model = model_of(config_of("words"))
    logits = model(words_of([[0, 0], [], [0]]).batch(np.arange(3)))
    assert torch.equal(logits, model.head.out.bias.expand(3, 3))


def test_what_a_head_does_not_read_does_not_learn() -> None:
    config = replace(config_of("words"), base=replace(CONFIG.base, pooling="weighted"))
    words, texts = FinetunedModel(config), FinetunedModel(replace(config, classifier=CONFIG.classifier))
    freeze_unused(words)
    freeze_unused(texts)
    assert not any(one.requires_grad for one in words.pooling.parameters())
    assert all(one.requires_grad for one in texts.pooling.parameters())
