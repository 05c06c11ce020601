"""Encoder, blocks, heads and pooling against the padded reference: outputs and every gradient, in fp64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from xformer.model.bigrams import BigramEmbeddings
from xformer.model.config import ModelConfig
from xformer.model.context import AttentionContext, self_attention_contexts
from xformer.model.encoder import Encoder
from xformer.model.heads import MaskedLMHead, Pooling
from xformer.model.layers import Block
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed, pack
from xformer.model.positions import T5Bias
from xformer.model.reference import (
    reference_block,
    reference_forward,
    reference_masked_lm,
    reference_pooling,
)

TOLERANCE = 1e-10


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    heads = draw(st.sampled_from((1, 2, 3, 4)))
    # A norm of two coordinates leaves ±1: its gradient would be all rounding.
    d_model = max(4, heads * draw(st.sampled_from((2, 4, 6))))
    return ModelConfig(
        vocab_size=17,
        d_model=d_model,
        n_layers=draw(st.integers(0, 4)),
        n_heads=heads,
        d_ff=draw(st.integers(1, 9)),
        max_length=draw(st.integers(12, 20)),
        positions=draw(st.sampled_from(("rotary", "sinusoidal", "learned", "alibi", "t5", "none"))),
        rotary_base=draw(st.sampled_from((100.0, 160_000.0))),
        t5_buckets=draw(st.sampled_from((4, 8, 32))),
        t5_max_distance=draw(st.sampled_from((9, 128))),
        position_offset=draw(st.sampled_from((0, 2))),
        n_segments=draw(st.integers(0, 2)),
        norm=draw(st.sampled_from(("layernorm", "rmsnorm"))),
        norm_position=draw(st.sampled_from(("pre", "post"))),
        norm_eps=draw(st.sampled_from((1e-12, 1e-5))),
        embedding_norm=draw(st.booleans()),
        bigrams=draw(st.integers(0, 3)),
        skip_first_norm=draw(st.booleans()),
        final_norm=draw(st.booleans()),
        activation=draw(st.sampled_from(("geglu", "swiglu", "gelu", "relu", "relu2"))),
        gelu=draw(st.sampled_from(("erf", "tanh"))),
        bias=draw(st.booleans()),
        window=draw(st.sampled_from((None, 2, 5, 128))),
        global_every=draw(st.integers(1, 3)),
        tie_embeddings=draw(st.booleans()),
        head_activation_norm=draw(st.booleans()),
        decoder_bias=draw(st.booleans()),
        zero_init_residual=draw(st.booleans()),
        pooled_dim_fraction=draw(st.sampled_from((0.5, 1.0))),
        pool_after_norm=draw(st.booleans()),
    )


def randomise(module: torch.nn.Module, seed: int) -> None:
    """Every parameter away from the values that hide mistakes: zero biases, unit gains."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.5)
        for table in module.modules():
            if isinstance(table, BigramEmbeddings):
                table.weight[0] = 0.0  # the row that stands for none


def padded(batch: Packed) -> tuple[Tensor, Tensor]:
    """Tokens (B, N), padding filled with a token that occurs, and the mask (B, N)."""
    width = max(batch.max_length, 1)
    mask = torch.arange(width) < torch.tensor(batch.lengths)[:, None]
    tokens = torch.full(mask.shape, 7)
    tokens[mask] = batch.tokens
    return tokens, mask


def gradients(loss: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    pairs = zip(parameters.items(), found, strict=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in pairs}


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, value in expected.items():
        scale = max(1.0, float(value.detach().abs().max()) if value.numel() else 1.0)
        difference = float((actual[name] - value).detach().abs().max()) if value.numel() else 0.0
        assert difference <= TOLERANCE * scale, name


TINY: dict[str, Any] = {"vocab_size": 17, "d_model": 8, "n_heads": 2, "n_layers": 2, "d_ff": 9}
backends = st.sampled_from((None, "torch", "reference"))
lengths_of = st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any)


@given(configs(), lengths_of, st.integers(0, 2**31), st.booleans(), backends)
@example(ModelConfig.bert(**TINY), [1, 0, 5, 5], 0, True, None)
@example(ModelConfig.xlm_r(**TINY), [1, 0, 5, 5], 0, False, None)
@example(ModelConfig.modernbert(**TINY | {"n_layers": 4}), [12], 0, True, None)
@settings(max_examples=150)
def test_encoder_and_masked_lm_equal_the_reference(
    config: ModelConfig, lengths: list[int], seed: int, sort: bool, backend: Any
) -> None:
    generator = torch.Generator().manual_seed(seed)
    encoder, head = Encoder(config).double().eval(), MaskedLMHead(config).double().eval()
    randomise(encoder, seed)
    randomise(head, seed + 1)
    batch = pack([torch.randint(17, (n,), generator=generator).tolist() for n in lengths], sort=sort)
    tokens, mask = padded(batch)
    selected = torch.randint(batch.n_tokens, (3,), generator=generator)
    wanted = torch.randn(batch.n_tokens, config.d_model, generator=generator, dtype=torch.float64)
    parameters = dict(encoder.named_parameters())
    everything = parameters | {f"head.{name}": p for name, p in head.named_parameters()}

    def loss(hidden: Tensor, logits: Tensor) -> Tensor:
        return (hidden * wanted).sum() + logits.logsumexp(-1).sum()

    hidden = encoder(batch, backend=backend)
    logits = head(hidden, selected, encoder.token_embedding)
    expected = reference_forward(config, parameters, tokens, mask)
    assert (expected[~mask] == 0).all()
    expected_hidden = expected[mask]
    expected_logits = reference_masked_lm(
        config, dict(head.named_parameters()), expected_hidden[selected], encoder.token_embedding
    )
    assert_same({"hidden": hidden, "logits": logits}, {"hidden": expected_hidden, "logits": expected_logits})
    assert_same(
        gradients(loss(hidden, logits), everything),
        gradients(loss(expected_hidden, expected_logits), everything),
    )


@given(configs(), lengths_of, st.integers(0, 2**31), st.booleans(), st.data())
@settings(max_examples=30)
def test_fewer_layers_and_no_final_norm(
    config: ModelConfig, lengths: list[int], seed: int, sort: bool, data: st.DataObject
) -> None:
    n_layers = data.draw(st.integers(0, config.n_layers))
    generator = torch.Generator().manual_seed(seed)
    encoder = Encoder(config).double().eval()
    randomise(encoder, seed)
    batch = pack([torch.randint(17, (n,), generator=generator).tolist() for n in lengths], sort=sort)
    tokens, mask = padded(batch)
    parameters = encoder.state_dict()
    states = encoder.hidden_states(batch)
    assert len(states) == config.n_layers + 1
    expected = reference_forward(config, parameters, tokens, mask, n_layers=n_layers, final_norm=False)[mask]
    raw = encoder(batch, n_layers=n_layers, final_norm=False)
    assert_same({"x": raw}, {"x": expected})
    assert torch.equal(raw, states[n_layers])
    normed = reference_forward(config, parameters, tokens, mask, n_layers=n_layers)[mask]
    assert_same({"x": encoder(batch, n_layers=n_layers)}, {"x": normed})


class Decoder(nn.Module):
    """Causal or bidirectional blocks, with cross-attention or without: what a decoder will be made of."""

    def __init__(self, config: ModelConfig, causal: bool, cross: bool) -> None:
        super().__init__()
        self.config, self.causal = config, causal
        self.layers = nn.ModuleList(Block(config, layer, cross=cross) for layer in range(config.n_layers))
        if config.positions == "t5":
            self.relative_bias = T5Bias(config.t5_buckets, config.n_heads)

    def forward(self, x: Tensor, batch: Packed, memory: tuple[Tensor, Packed] | None, backend: Any) -> Tensor:
        table = self.relative_bias.weight if self.config.positions == "t5" else None
        contexts = self_attention_contexts(self.config, batch, x.dtype, table, causal=self.causal)
        across = None if memory is None else (memory[0], AttentionContext(batch, memory[1]))
        for layer, block in enumerate(self.layers):
            x = block(x, contexts[self.config.is_global(layer)], backend, across)
        return x


pairs_of_lengths = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=1, max_size=6)


@given(configs(), pairs_of_lengths, st.booleans(), st.booleans(), st.integers(0, 2**31), backends)
@example(ModelConfig.bert(**TINY), [(1, 3), (0, 2), (5, 0), (5, 5), (2, 5)], True, True, 0, None)
@example(ModelConfig.modernbert(**TINY), [(5, 3), (5, 3), (1, 9), (5, 3)], True, True, 0, None)
@example(ModelConfig(**TINY, positions="t5", bias=True), [(12, 1), (1, 12)], True, True, 0, "torch")
@settings(max_examples=150)
def test_causal_blocks_and_cross_attention_equal_the_reference(
    config: ModelConfig, lengths: list[tuple[int, int]], causal: bool, cross: bool, seed: int, backend: Any
) -> None:
    if causal:  # all buckets lie to the left, so that twice as many distances have one of their own
        config = replace(config, t5_max_distance=config.t5_max_distance + config.t5_buckets // 4)
    decoder = Decoder(config, causal, cross).double().eval()
    randomise(decoder, seed)
    targets, sources = zip(*lengths, strict=True)
    batch = pack([[1] * n for n in targets], sort=False)
    memory = pack([[1] * n for n in sources], sort=False)
    (_, mask), (_, memory_mask) = padded(batch), padded(memory)
    generator = torch.Generator().manual_seed(seed)
    x, states, wanted = (
        torch.randn(n, config.d_model, generator=generator, dtype=torch.float64, requires_grad=True)
        for n in (batch.n_tokens, memory.n_tokens, batch.n_tokens)
    )
    wide, wide_states = (
        rows.new_full((*its.shape, config.d_model), 9.0).masked_scatter(its[..., None], rows)
        for rows, its in ((x, mask), (states, memory_mask))
    )
    actual = decoder(x, batch, (states, memory) if cross else None, backend)
    parameters = dict(decoder.named_parameters())
    across = {"memory": wide_states, "memory_mask": memory_mask} if cross else {}
    for layer in range(config.n_layers):
        wide = reference_block(config, parameters, layer, wide, mask, causal=causal, **across)
    expected = wide[mask]
    assert_same({"x": actual}, {"x": expected})
    if actual.requires_grad:
        inputs = parameters | {"x": x, "memory": states}
        assert_same(gradients((actual * wanted).sum(), inputs), gradients((expected * wanted).sum(), inputs))


@given(
    st.lists(st.integers(0, 9), max_size=6),
    st.integers(0, 2**31),
    st.sampled_from(("mean", "weighted")),
    st.booleans(),
)
@settings(max_examples=60)
def test_pooling_equals_the_reference(lengths: list[int], seed: int, kind: Any, sort: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch = pack([[1] * n for n in lengths], sort=sort)
    _, mask = padded(batch)
    hidden = torch.randn(batch.n_tokens, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    pooling = Pooling(5, kind).double()
    randomise(pooling, seed)
    wide = hidden.new_zeros(*mask.shape, 5).masked_scatter(mask[..., None], hidden)
    expected = reference_pooling(wide, mask, pooling.weight)
    actual = pooling(hidden, batch)
    wanted = torch.randn(actual.shape, generator=generator, dtype=torch.float64)
    assert_same({"pooled": actual}, {"pooled": expected})
    inputs = {"hidden": hidden} | dict(pooling.named_parameters())
    assert_same(gradients((actual * wanted).sum(), inputs), gradients((expected * wanted).sum(), inputs))


@given(configs(), lengths_of, st.integers(0, 2**31), st.booleans(), st.data())
@settings(max_examples=30)
def test_sentence_vectors_equal_the_reference(
    config: ModelConfig, lengths: list[int], seed: int, sort: bool, data: st.DataObject
) -> None:
    depth = data.draw(st.integers(0, config.n_layers))
    model = MultilingualModel(config, "mean").double()
    randomise(model, seed)
    generator = torch.Generator().manual_seed(seed)
    texts = [torch.randint(0, 17, (n,), generator=generator).tolist() for n in lengths]
    batch = pack(texts, sort=sort)
    tokens, mask = padded(batch)
    parameters = dict(model.encoder.named_parameters())
    hidden = reference_forward(
        config, parameters, tokens, mask, n_layers=depth, final_norm=config.pool_after_norm
    )
    expected = reference_pooling(hidden[..., : config.pooled_dim], mask)
    actual = model.sentence_vectors(batch, n_layers=depth, normalise=False)
    assert_same({"vectors": actual}, {"vectors": expected})
    wanted = torch.randn(actual.shape, generator=generator, dtype=torch.float64)
    assert_same(
        gradients((actual * wanted).sum(), parameters), gradients((expected * wanted).sum(), parameters)
    )
