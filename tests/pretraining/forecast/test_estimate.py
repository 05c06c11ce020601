"""Parameters exactly, operations against PyTorch's counter, activations against what autograd keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.model.reference import reference_forward, reference_masked_lm
from xformer.objectives import AlignmentBatch, MaskedBatch, contrastive_loss
from xformer.pretraining.batches import StepBatch
from xformer.pretraining.forecast.estimate import (
    Pass,
    attended_pairs,
    parameter_counts,
    passes_of,
    weight_bytes,
)
from xformer.pretraining.stages import FULL
from xformer.pretraining.step_losses import StepLosses
from xformer.pretraining.step_plan import StepPlan
from xformer.runs.config import ObjectivesConfig
from xformer.training.precision import autocast


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    heads = draw(st.sampled_from((1, 2, 3)))
    return ModelConfig(
        vocab_size=draw(st.integers(5, 40)),
        d_model=heads * draw(st.sampled_from((2, 4, 6))),
        n_layers=draw(st.integers(0, 3)),
        n_heads=heads,
        d_ff=draw(st.integers(1, 9)),
        max_length=draw(st.integers(12, 20)),
        positions=draw(st.sampled_from(("rotary", "sinusoidal", "learned", "alibi", "t5", "none"))),
        t5_buckets=draw(st.sampled_from((4, 8))),
        position_offset=draw(st.sampled_from((0, 2))),
        n_segments=draw(st.integers(0, 2)),
        norm=draw(st.sampled_from(("layernorm", "rmsnorm"))),
        norm_position=draw(st.sampled_from(("pre", "post"))),
        embedding_norm=draw(st.booleans()),
        skip_first_norm=draw(st.booleans()),
        final_norm=draw(st.booleans()),
        activation=draw(st.sampled_from(("geglu", "swiglu", "gelu", "relu2"))),
        bias=draw(st.booleans()),
        window=None,
        tie_embeddings=draw(st.booleans()),
        head_activation_norm=draw(st.booleans()),
        decoder_bias=draw(st.booleans()),
        pooled_dim_fraction=draw(st.sampled_from((0.5, 1.0))),
    )


@given(config=configs(), pooling=st.sampled_from(("mean", "weighted")))
@settings(deadline=None, max_examples=60)
def test_parameters_are_exact(config: ModelConfig, pooling: Literal["mean", "weighted"]) -> None:
    model = MultilingualModel(config, pooling)
    counts = parameter_counts(config, pooling)
    assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
    blocks = [p.numel() for name, p in model.named_parameters() if ".attn.W" in name]
    assert counts["attention"] == sum(blocks)
    inner = [p.numel() for name, p in model.named_parameters() if ".mlp.W" in name]
    assert counts["feed-forward"] == sum(inner)
    c, f, v = config.d_model, config.d_ff, config.rows
    assert counts["attention"] == config.n_layers * (4 * c * c + config.bias * 4 * c)
    wide = f * (2 if config.gated else 1)
    assert counts["feed-forward"] == config.n_layers * (c * wide + f * c + config.bias * (wide + c))
    learned = (config.max_length + config.position_offset) * (config.positions == "learned")
    assert counts["embedding"] == (v + config.n_segments + learned) * c
    assert counts["bigrams"] == config.bigram_rows * c
    norm = c * (2 if config.bias and config.norm == "layernorm" else 1)
    head = config.head_activation_norm * (c * c + config.bias * c + norm)
    assert counts["masked-LM head"] == head + (not config.tie_embeddings) * v * c + config.decoder_bias * v


def test_parameters_of_models_that_people_know() -> None:
    """XLM-R base has 278 million, BERT base 110 million without the pooler's 0.6, ModernBERT base 150."""
    assert sum(parameter_counts(ModelConfig.xlm_r(), "mean").values()) == 278_295_186
    assert sum(parameter_counts(ModelConfig.bert(), "mean").values()) == 109_514_298
    assert round(sum(parameter_counts(ModelConfig.modernbert(), "mean").values()) / 1e6) == 150


@given(config=configs(), sequences=st.integers(1, 3), length=st.integers(1, 8), data=st.data())
@settings(deadline=None, max_examples=30)
def test_operations_are_those_that_pytorch_counts(
    config: ModelConfig, sequences: int, length: int, data: st.DataObject
) -> None:
    """Forward and backward of the padded model where nothing is padding."""
    model = MultilingualModel(config, "mean")
    encoder = dict(model.encoder.named_parameters())
    tokens = torch.zeros(sequences, length, dtype=torch.int64)
    selected = data.draw(st.integers(1, sequences * length))
    with FlopCounterMode(display=False) as forward:
        mask = torch.ones_like(tokens, dtype=torch.bool)
        hidden = reference_forward(config, encoder, tokens, mask)
        rows = hidden.flatten(0, 1)[:selected]
        head = dict(model.masked_lm.named_parameters())
        logits = reference_masked_lm(config, head, rows, model.encoder.token_embedding)
    expected = Pass((length,) * sequences, selected=selected).forward_flops(config)
    assert forward.get_total_flops() == expected
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    assert backward.get_total_flops() == 2 * expected


@given(length=st.integers(0, 12), window=st.one_of(st.none(), st.integers(2, 30)))
@settings(deadline=None, max_examples=60)
def test_pairs_that_attend_to_each_other(length: int, window: int | None) -> None:
    seen = sum(
        window is None or abs(query - key) <= window // 2 for query in range(length) for key in range(length)
    )
    assert attended_pairs(length, window) == seen


def test_local_layers_and_those_left_out_cost_less() -> None:
    config = ModelConfig(vocab_size=50, d_model=8, n_layers=4, n_heads=2, d_ff=4, window=4, global_every=3)
    tokens, c, f = 30, 8, 4
    block = (8 * c * c + 6 * c * f) * tokens
    far, near = 30 * 30, 30 * 5 - 2 * 3
    assert Pass((30,)).forward_flops(config) == 4 * block + 4 * c * (2 * far + 2 * near)
    assert Pass((30,), n_layers=2).forward_flops(config) == 2 * block + 4 * c * (far + near)
    assert Pass((30,), n_layers=0).forward_flops(config) == 0
    # Two sequences cost as much as each by itself.
    assert Pass((30, 9)).forward_flops(config) == sum(Pass((n,)).forward_flops(config) for n in (30, 9))


def test_operations_of_the_alignment() -> None:
    config = ModelConfig(vocab_size=50, d_model=12, n_layers=0, n_heads=2)
    left, right = torch.randn(2, 7, config.pooled_dim, requires_grad=True).unbind(0)
    with FlopCounterMode(display=False) as forward:
        loss = contrastive_loss(left, right, torch.arange(7), scale=20.0, margin=0.3).sum()
    expected = Pass((), pairs=7).forward_flops(config)
    assert forward.get_total_flops() == expected
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    assert backward.get_total_flops() == 2 * expected


def _batch(vocabulary: int) -> StepBatch:
    rng = np.random.default_rng(0)

    def texts(count: int) -> list[np.ndarray]:
        return [rng.integers(5, vocabulary, size=n).astype(np.int32) for n in rng.integers(4, 30, count)]

    packed = pack(texts(40))
    selected = torch.arange(0, packed.n_tokens, 3)
    language = np.zeros(len(selected), dtype=np.int64)
    masked = MaskedBatch(packed, selected, packed.tokens[selected], language)
    pairs = AlignmentBatch(pack(texts(60)), np.zeros(60, dtype=np.int64), torch.arange(30), (30,), 0)
    none = np.zeros(1, dtype=np.int64)
    plan = StepPlan(0, {}, np.zeros(1), none, none)
    return StepBatch(plan, {"masked_lm": masked}, {"alignment": pairs})


def test_the_passes_of_a_step() -> None:
    masked, pairs, bag = passes_of(_batch(50))
    assert (len(masked.lengths), len(pairs.lengths), pairs.pairs) == (40, 60, 30)
    assert masked.selected == -(-sum(masked.lengths) // 3)
    assert bag == Pass(pairs.lengths, pairs=30, n_layers=0)
    config = ModelConfig(vocab_size=50, d_model=8, n_heads=2, d_ff=4, n_layers=2)
    head = (2 * 8 * 8 + 2 * 8 * 50) * masked.selected
    assert masked.forward_flops(config) == Pass(masked.lengths).forward_flops(config) + head
    assert bag.forward_flops(config) == 2 * config.pooled_dim * 30 * 30
    few = replace(masked, sampled=20)
    assert masked.forward_flops(config) - few.forward_flops(config) == 2 * 8 * 30 * masked.selected
    assert few.activation_bytes(config, "fp32") == masked.activation_bytes(config, "fp32") - 4 * 8 * 30


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("activation", ["geglu", "gelu"])
@pytest.mark.parametrize("n_layers", [0, 1, 3])
def test_activations_are_what_autograd_keeps(
    precision: Literal["fp32", "bf16"], activation: Literal["geglu", "gelu"], n_layers: int
) -> None:
    """Within 15%: the copies of weights, counted elsewhere, and a few numbers a token are not in it."""
    config = ModelConfig(
        vocab_size=200, d_model=64, n_layers=n_layers, n_heads=2, d_ff=96, activation=activation
    )
    model, batch = MultilingualModel(config, "weighted"), _batch(200)
    weights = {tuple(p.shape) for p in model.parameters() if p.ndim == 2}
    weights |= {shape[::-1] for shape in weights}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tuple(tensor.shape) not in weights - {(200, 64)}:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, autocast(precision, torch.device("cpu")):
        total, _ = StepLosses(model, ObjectivesConfig())(batch, FULL)
    for parameter in model.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert total.requires_grad  # the graph is still there
    estimated = sum(one.activation_bytes(config, precision) for one in passes_of(batch))
    assert estimated == pytest.approx(measured, rel=0.15)


def test_a_parameter_takes_sixteen_bytes() -> None:
    assert sum(weight_bytes(100, "fp32").values()) == 1600
    assert sum(weight_bytes(100, "bf16").values()) == 1800
    assert sum(weight_bytes(100, "fp32", by_row=60).values()) == 1600 - 60 * 12
