"""The decoder and the translator against the padded reference, and with the cache against without it.

Covers `cache`, `cache_step`, `seq2seq` and `seq2seq_config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.model.test_reference import assert_same, backends, configs, gradients, padded, randomise
from xformer.model.cache import cache_bytes
from xformer.model.config import ModelConfig
from xformer.model.packed import Packed, pack
from xformer.model.reference import reference_decoder, reference_forward, reference_loss
from xformer.model.seq2seq import Seq2Seq
from xformer.model.seq2seq_config import Seq2SeqConfig

END = 2
LAYERS: dict[str, Any] = {"n_layers": 2, "vocab_size": 17, "d_model": 8, "n_heads": 2, "d_ff": 9}


@st.composite
def seq2seq_configs(draw: st.DrawFn) -> Seq2SeqConfig:
    encoder, decoder = draw(configs()), draw(configs())
    heads = draw(st.sampled_from([n for n in (1, 2, 3, 4) if encoder.d_model % (2 * n) == 0]))
    decoder = replace(
        decoder,
        d_model=encoder.d_model,
        n_heads=heads,
        bigrams=0,
        head_activation_norm=False,
        scale_embeddings=draw(st.booleans()),
        t5_max_distance=decoder.t5_max_distance + decoder.t5_buckets // 4,
    )
    encoder = replace(encoder, scale_embeddings=draw(st.booleans()))
    return Seq2SeqConfig(
        encoder, decoder, share_embeddings=draw(st.booleans()), start=draw(st.sampled_from(("zero", "end")))
    )


lengths_of = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 11)), min_size=1, max_size=5)


def draw_pairs(lengths: list[tuple[int, int]], seed: int) -> tuple[Packed, Packed]:
    """Sources, and targets with their ends."""
    generator = torch.Generator().manual_seed(seed)
    sources = [torch.randint(17, (n,), generator=generator).tolist() for n, _ in lengths]
    targets = [[*torch.randint(17, (n - 1,), generator=generator).tolist(), END] for _, n in lengths]
    return pack(sources, sort=False), pack(targets, sort=False)


def built(config: Seq2SeqConfig, seed: int) -> Seq2Seq:
    model = Seq2Seq(config, END).double().eval()
    randomise(model, seed)
    return model


def reference_logits(
    model: Seq2Seq, parameters: Mapping[str, Tensor], source: Packed, targets: Packed
) -> Tensor:
    """Logits (T, V) by the padded reference."""
    config = model.config
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "decoder": {}, "output": {}}
    for name, parameter in parameters.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = parameter
    table = "embeddings.tok_embeddings.weight"
    if config.share_embeddings:
        parts["decoder"][table] = parts["encoder"][table]
    tokens, mask = padded(source)
    memory = reference_forward(config.encoder, parts["encoder"], tokens, mask)
    after, its_mask = padded(targets)
    before = torch.cat((torch.full_like(after[:, :1], END), after[:, :-1]), 1)
    blank = config.start == "zero"
    hidden = reference_decoder(
        config.decoder, parts["decoder"], before, its_mask, memory, mask, blank_start=blank
    )[its_mask]
    logits = (
        hidden @ (parts["decoder"][table] if config.decoder.tie_embeddings else parts["output"]["weight"]).T
    )
    return logits + parts["output"]["bias"] if config.decoder.decoder_bias else logits


@given(seq2seq_configs(), lengths_of, st.integers(0, 2**31), st.sampled_from((0.0, 0.1)), backends)
@example(Seq2SeqConfig.marian(**LAYERS), [(1, 3), (0, 2), (5, 1), (5, 5), (2, 5)], 0, 0.1, None)
@example(Seq2SeqConfig.of(ModelConfig(**LAYERS), start="end"), [(5, 3), (5, 3), (1, 9)], 0, 0.1, None)
@settings(max_examples=60)
def test_outputs_loss_and_gradients_equal_the_reference(
    config: Seq2SeqConfig, lengths: list[tuple[int, int]], seed: int, smoothing: float, backend: Any
) -> None:
    model = built(config, seed)
    source, targets = draw_pairs(lengths, seed)
    parameters = dict(model.named_parameters())
    logits = model.logits(model(source, targets, backend=backend))
    expected = reference_logits(model, parameters, source, targets)
    loss, items = model.loss(source, targets, label_smoothing=smoothing, backend=backend)
    losses = reference_loss(expected, targets.tokens, smoothing)
    assert_same(
        {"logits": logits, "items": items, "loss": loss[None]},
        {"logits": expected, "items": losses, "loss": losses.mean()[None]},
    )
    assert_same(gradients(loss, parameters), gradients(losses.mean(), parameters))


@given(seq2seq_configs(), lengths_of, st.integers(0, 2**31), st.data())
@example(Seq2SeqConfig.marian(**LAYERS), [(1, 3), (0, 2), (5, 1), (5, 5), (2, 5)], 0, None)
@settings(max_examples=60)
def test_with_the_cache_as_without_at_any_cut(
    config: Seq2SeqConfig, lengths: list[tuple[int, int]], seed: int, data: st.DataObject | None
) -> None:
    """Each row goes on by any number of tokens at a time, several or one or none."""
    model = built(config, seed)
    source, targets = draw_pairs(lengths, seed)
    whole = model(source, targets).split(targets.lengths)
    inputs = [torch.cat((torch.tensor([END]), row[:-1])) for row in targets.tokens.split(targets.lengths)]
    cache = model.decoder.cache(model.encoder(source), source)
    done = [0] * len(inputs)
    while done != list(targets.lengths):
        left = [n - at for n, at in zip(targets.lengths, done, strict=True)]
        if data is None:
            counts = [min(1, n) for n in left]
        else:
            most = data.draw(st.sampled_from((1, 3, 11)))
            counts = [data.draw(st.integers(min(1, n), min(n, most))) for n in left]
        new = [row[at : at + count] for row, at, count in zip(inputs, done, counts, strict=True)]
        out = model.decoder.extend(torch.cat(new), cache, table=model.target_table, counts=counts)
        for row, (at, count, part) in enumerate(zip(done, counts, out.split(counts), strict=True)):
            assert_same({"hidden": part}, {"hidden": whole[row][at : at + count]})
        done = [at + count for at, count in zip(done, counts, strict=True)]
    assert cache.lengths == done


@given(seq2seq_configs(), st.integers(0, 2**31), st.sampled_from((1, 2, 4, 17)), st.data())
@settings(max_examples=20)
def test_hypotheses_that_are_reordered_and_groups_that_leave(
    config: Seq2SeqConfig, seed: int, beams: int, data: st.DataObject
) -> None:
    model = built(config, seed)
    n_groups, steps = data.draw(st.integers(1, 3)), 5
    generator = torch.Generator().manual_seed(seed)
    sources = [torch.randint(17, (n,), generator=generator).tolist() for n in (4, 0, 6)[:n_groups]]
    source = pack(sources, sort=False)
    cache = model.decoder.cache(model.encoder(source), source)
    grown = data.draw(st.integers(1, 3))
    texts = [[[END]] for _ in sources]  # of each group the tokens of each hypothesis
    for step in range(steps):
        latest = torch.tensor([row[-1] for rows in texts for row in rows])
        hidden = model.decoder.extend(latest, cache, table=model.target_table)
        flat = [row for rows in texts for row in rows]
        memories = pack([s for s, rows in zip(sources, texts, strict=True) for _ in rows], sort=False)
        inputs = pack(flat, sort=False)
        expected = model.decoder(inputs, model.encoder(memories), memories, table=model.target_table)
        ends = inputs.cu_seqlens[1:].long() - 1
        assert_same({"hidden": hidden}, {"hidden": expected[ends]})
        if step == grown and beams > 1:
            cache.expand(beams)
            texts = [rows * beams for rows in texts]
        if len(sources) > 1 and data.draw(st.integers(0, 3)) == 0:
            kept = data.draw(st.permutations(range(len(sources))))[: len(sources) - 1]
            cache.keep(kept)
            sources, texts = [sources[g] for g in kept], [texts[g] for g in kept]
        parents = torch.randint(cache.n_beams, (len(sources), cache.n_beams), generator=generator)
        cache.reorder(parents)
        texts = [
            [[*rows[p], int(torch.randint(17, (), generator=generator))] for p in its]
            for rows, its in zip(texts, parents.tolist(), strict=True)
        ]


def test_what_does_not_fit_is_named() -> None:
    tiny = ModelConfig(**LAYERS)
    with pytest.raises(ValueError, match=r"^decoder\.d_model: expected the encoder's, 8, got 16"):
        Seq2SeqConfig(tiny, replace(tiny, d_model=16, head_activation_norm=False))
    with pytest.raises(ValueError, match=r"^decoder\.vocab_size: expected the encoder's, 17"):
        Seq2SeqConfig(tiny, replace(tiny, vocab_size=18, head_activation_norm=False))
    with pytest.raises(ValueError, match=r"^seq2seq\.start: expected one of zero, end"):
        Seq2SeqConfig.of(tiny, start="pad")
    model = Seq2Seq(Seq2SeqConfig.of(replace(tiny, positions="learned", max_length=3)), END)
    source, _ = draw_pairs([(2, 1), (3, 1)], 0)
    cache = model.decoder.cache(model.encoder(source), source)
    with pytest.raises(ValueError, match=r"^tokens: expected 2 for 2 rows, got 3"):
        model.decoder.extend(torch.tensor([1, 2, 3]), cache, table=model.target_table)
    for _ in range(3):
        model.decoder.extend(torch.tensor([1, 2]), cache, table=model.target_table)
    with pytest.raises(ValueError, match=r"at most model\.max_length=3 tokens"):
        model.decoder.extend(torch.tensor([1, 2]), cache, table=model.target_table)


@pytest.mark.parametrize("beams", [1, 3])
def test_memory_of_the_cache_is_that_of_the_formula(beams: int) -> None:
    config = Seq2SeqConfig.marian(**LAYERS)
    model = Seq2Seq(config, END).eval()
    source, _ = draw_pairs([(4, 1), (7, 1), (6, 1)], 0)
    cache = model.decoder.cache(model.encoder(source), source)
    model.decoder.extend(torch.full((3,), END), cache, table=model.target_table)
    if beams > 1:
        cache.expand(beams)
    for _ in range(40):
        model.decoder.extend(torch.full((3 * beams,), END), cache, table=model.target_table)
    assert cache.capacity == 64
    assert cache.n_bytes == cache_bytes(config.decoder, 3, beams, 64, 7)
    cache.keep([0, 2])
    assert cache.n_bytes == cache_bytes(config.decoder, 2, beams, 64, 6)
