"""What a step reads. Covers `encoded` and `losses`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.translation.conftest import DIRECTIONS, numbers
from xformer.errors import InputError
from xformer.model.seq2seq import Seq2Seq
from xformer.model.seq2seq_config import Seq2SeqConfig
from xformer.tokenizer import Tokenizer, TokenizerOptions, fit_tokenizer
from xformer.translation.batches import STEPS_AT_ONCE, TranslationBatches
from xformer.translation.config import TranslationOptions
from xformer.translation.encoded import EncodedPairs
from xformer.translation.losses import TranslationLosses, r_drop

OPTIONS = TranslationOptions(tuple(map(str, DIRECTIONS)), max_tokens=12)
TEXTS = numbers(300)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    options = TokenizerOptions(vocabulary_size=320, threads=1)
    return fit_tokenizer(lambda: zip(TEXTS.languages, TEXTS.texts, strict=True), options)


@pytest.fixture(scope="module")
def data(tokenizer: Tokenizer) -> EncodedPairs:
    return EncodedPairs.of(TEXTS, TEXTS.pairs(OPTIONS.pairs), tokenizer, OPTIONS)


def test_sources_and_targets_are_the_texts_with_tag_and_end(data: EncodedPairs, tokenizer: Tokenizer) -> None:
    rows = np.array([0, len(data) - 1, 300])
    source, target = data.pack(rows)
    assert source.tokens.split(list(source.lengths)) != []
    for place, row in enumerate(rows.tolist()):
        ids = source.tokens.split(list(source.lengths))[place].tolist()
        written = target.tokens.split(list(target.lengths))[place].tolist()
        assert ids == data.sources(rows)[place]
        direction = data.direction(row)
        assert ids[0] == tokenizer.vocab_size + ["de", "en", "fr"].index(direction.target)
        assert ids[-1] == written[-1] == 2
        assert tokenizer.decode(ids[1:-1]) == TEXTS.texts[data.pairs.source[row]]
        assert tokenizer.decode(written[:-1]) == TEXTS.texts[data.pairs.target[row]]
    assert data.source_lengths[rows].tolist() == list(source.lengths)
    assert data.target_lengths[rows].tolist() == list(target.lengths)


def test_too_long_pairs_are_left_out(tokenizer: Tokenizer) -> None:
    short = TranslationOptions(OPTIONS.directions, max_tokens=1)
    found = EncodedPairs.of(TEXTS, TEXTS.pairs(short.pairs), tokenizer, short)
    assert found.too_long > 0
    assert len(found) + found.too_long == len(TEXTS.pairs(short.pairs))
    assert found.source_lengths.max() <= 3
    none = TranslationOptions(OPTIONS.directions, max_tokens=1)
    words = TEXTS.only({g for t, g in zip(TEXTS.texts, TEXTS.groups, strict=True) if t.count(" ") == 1})
    with pytest.raises(InputError, match="every pair has a text of more than 1 tokens"):
        EncodedPairs.of(words, words.pairs(none.pairs), tokenizer, none)


def test_each_pair_comes_once_before_any_comes_again(data: EncodedPairs) -> None:
    batches = TranslationBatches(data, 200, 1.0, seed=3)
    sizes = []
    for step in range(2 * STEPS_AT_ONCE):
        batch = batches.make(step)
        sizes.append(batch.n_tokens)
        assert batch.rows == batches.make(step).rows
    assert np.mean(sizes) == pytest.approx(200, rel=0.15)
    assert max(sizes) < 300
    draws = np.concatenate([np.concatenate(batches._stretch(n)) for n in range(3)])
    times = np.bincount(draws, minlength=len(data))
    for direction in range(3):
        mine = times[data.pairs.direction == direction]
        assert mine.max() - mine.min() <= 1


def test_processes_share_a_step(data: EncodedPairs) -> None:
    whole = TranslationBatches(data, 200, 5.0, seed=3).make(7)
    parts = [TranslationBatches(data, 200, 5.0, 3, rank, 3).make(7) for rank in range(3)]
    assert {part.rows for part in parts} == {whole.rows}
    assert sum(part.target.n_tokens for part in parts) == whole.n_targets == parts[0].n_targets
    assert sorted(torch.cat([part.source.tokens for part in parts]).tolist()) == sorted(
        whole.source.tokens.tolist()
    )


def test_temperature_makes_directions_alike(data: EncodedPairs) -> None:
    counts = data.pairs.counts
    few = data.pairs.select(np.flatnonzero((data.pairs.direction != 1) | (np.arange(len(data)) % 8 == 0)))
    small = EncodedPairs(data.tokens, data.starts, few, data.vocabulary, 0)
    shares = {}
    for temperature in (1.0, 1e9):
        batches = TranslationBatches(small, 400, temperature, seed=0)
        rows = np.concatenate([np.concatenate(batches._stretch(n)) for n in range(6)])
        shares[temperature] = np.bincount(few.direction[rows], minlength=len(counts)) / len(rows)
    assert shares[1.0] == pytest.approx(few.counts / len(few), abs=0.01)
    assert shares[1e9] == pytest.approx([1 / 3] * 3, abs=0.01)


def test_losses_are_those_of_their_definitions(data: EncodedPairs) -> None:
    config = Seq2SeqConfig.marian(
        vocab_size=data.vocabulary.rows, d_model=8, n_heads=2, d_ff=8, n_layers=1, dropout=0.3
    )
    model = Seq2Seq(config, 2).double()
    batch = TranslationBatches(data, 100, 5.0, seed=0).make(0)
    model.eval()
    logits = model.logits(model(batch.source, batch.target))
    expected = F.cross_entropy(logits, batch.target.tokens, label_smoothing=0.2)
    total, losses = TranslationLosses(model, 0.2, 0.0)(batch, "")
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(losses["translation"].items.mean(), expected)
    # Without dropout both passes are the same, and R-drop adds nothing.
    torch.testing.assert_close(TranslationLosses(model, 0.2, 5.0)(batch, "")[0], expected)
    model.train()
    torch.manual_seed(0)
    first, second = (model(batch.source, batch.target) for _ in range(2))
    p, q = (model.logits(x).log_softmax(-1) for x in (first, second))
    entropy, divergence = r_drop(model, first, second, batch.target.tokens, 0.2)
    both = [
        F.cross_entropy(model.logits(x), batch.target.tokens, label_smoothing=0.2) for x in (first, second)
    ]
    torch.testing.assert_close(entropy.mean(), (both[0] + both[1]) / 2)
    kl = F.kl_div(q, p, log_target=True, reduction="sum") + F.kl_div(p, q, log_target=True, reduction="sum")
    torch.testing.assert_close(divergence.sum(), kl / 4)
    assert math.isfinite(float(kl.detach()))
    assert kl > 0
