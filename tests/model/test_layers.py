"""Attention and blocks: their parts by themselves, cross-attention, and what is refused.

Covers `context` and `norms`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from xformer.model.config import Activation, ModelConfig, NormPosition, Positions
from xformer.model.context import AttentionContext, self_attention_contexts
from xformer.model.cpu import FEED_FORWARD_ROWS
from xformer.model.layers import Attention, Block, FeedForward
from xformer.model.packed import Packed, pack

SMALL = ModelConfig(vocab_size=31, d_model=24, n_heads=3, d_ff=16, n_layers=1, window=None)
LENGTHS = (7, 7, 4, 1)
MEMORIES = (2, 5, 0, 9)


def layout(lengths: tuple[int, ...]) -> Packed:
    return pack([[1] * n for n in lengths], sort=False)


def states(batch: Packed, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch.n_tokens, 24, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("positions", ["rotary", "alibi", "none"])
def test_queries_keys_and_the_log_sum_exp_give_the_weights(positions: Positions, causal: bool) -> None:
    torch.manual_seed(0)
    config = replace(SMALL, positions=positions)
    attention, batch = Attention(config).double(), layout(LENGTHS)
    x = states(batch)
    context = self_attention_contexts(config, batch, x.dtype, causal=causal)[True]
    q, k, v = attention.qkv(x, context)
    assert q.shape == k.shape == v.shape == (batch.n_tokens, 3, 8)
    heads, lse = attention.attend(q, k, v, context)
    out = attention.project(heads)
    assert torch.equal(out, attention(x, context))
    starts = batch.cu_seqlens.tolist()
    for first, last in pairwise(starts):
        scores = torch.einsum("mhd,nhd->hmn", q[first:last], k[first:last]) / 8**0.5
        distance = torch.arange(last - first) - torch.arange(last - first)[:, None]
        if context.alibi_slopes is not None:
            scores = scores - context.alibi_slopes[:, None, None] * distance.abs()
        if causal:
            scores = scores.masked_fill(distance > 0, -torch.inf)
        weights = (scores - lse[first:last].T[..., None]).exp()
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        mixed = torch.einsum("hmn,nhd->mhd", weights, v[first:last]).flatten(1)
        torch.testing.assert_close(attention.Wo(mixed), out[first:last])


def test_what_is_changed_in_between_reaches_the_output() -> None:
    torch.manual_seed(0)
    attention, batch = Attention(SMALL).double(), layout(LENGTHS)
    x = states(batch)
    context = self_attention_contexts(SMALL, batch, x.dtype)[True]
    q, k, v = attention.qkv(x, context)
    without = v.clone()
    without[:, 1] = 0  # a head is taken out
    part = attention.project(attention.attend(q, k, without, context)[0])
    assert not torch.equal(part, attention(x, context))
    with torch.no_grad():
        attention.Wo.weight[:, 8:16] = 0
    torch.testing.assert_close(part, attention(x, context))


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_a_decoder_block_is_that_of_torch(norm_position: NormPosition, backend: str) -> None:
    torch.manual_seed(0)
    theirs = nn.TransformerDecoderLayer(
        24, 3, 16, dropout=0.0, activation="gelu", norm_first=norm_position == "pre", batch_first=True
    ).double()  # fmt: skip
    config = replace(
        SMALL,
        positions="none",
        norm_position=norm_position,
        skip_first_norm=False,
        activation="gelu",
        bias=True,
    )
    ours = Block(config, 0, cross=True).double()
    copied = {
        "attn.Wqkv": theirs.self_attn.get_parameter("in_proj_weight"),
        "attn.Wo": theirs.self_attn.out_proj.weight,
        "cross_attn.Wq": theirs.multihead_attn.get_parameter("in_proj_weight")[:24],
        "cross_attn.Wkv": theirs.multihead_attn.get_parameter("in_proj_weight")[24:],
        "cross_attn.Wo": theirs.multihead_attn.out_proj.weight,
        "mlp.Wi": theirs.linear1.weight,
        "mlp.Wo": theirs.linear2.weight,
    }
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, weight in copied.items():
            ours.get_parameter(f"{name}.weight").copy_(weight)
        for name, bias in {
            "attn.Wqkv": theirs.self_attn.in_proj_bias,
            "attn.Wo": theirs.self_attn.out_proj.bias,
            "cross_attn.Wq": theirs.multihead_attn.in_proj_bias[:24],
            "cross_attn.Wkv": theirs.multihead_attn.in_proj_bias[24:],
            "cross_attn.Wo": theirs.multihead_attn.out_proj.bias,
            "mlp.Wi": theirs.linear1.bias,
            "mlp.Wo": theirs.linear2.bias,
        }.items():
            ours.get_parameter(f"{name}.bias").copy_(bias)
        for name, norm in {"attn": theirs.norm1, "cross": theirs.norm2, "mlp": theirs.norm3}.items():
            ours.get_parameter(f"{name}_norm.weight").copy_(norm.weight)
            ours.get_parameter(f"{name}_norm.bias").copy_(norm.bias)
    # PyTorch's gives NaN where a memory is empty.
    batch, memory = layout(LENGTHS), layout((2, 5, 1, 9))
    x, source = states(batch), states(memory, 1)
    masks = [torch.arange(max(b.lengths)) < torch.tensor(b.lengths)[:, None] for b in (batch, memory)]
    wide, wide_source = (
        rows.new_zeros(*mask.shape, 24).masked_scatter(mask[..., None], rows)
        for rows, mask in zip((x, source), masks, strict=True)
    )
    ahead = torch.ones(7, 7, dtype=torch.bool).triu(1)
    expected = theirs(wide, wide_source, tgt_mask=ahead, memory_key_padding_mask=~masks[1])[masks[0]]
    context = self_attention_contexts(config, batch, x.dtype, causal=True)[True]
    actual = ours(x, context, backend, (source, AttentionContext(batch, memory)))
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_a_batch_without_a_token() -> None:
    block, batch, memory = Block(SMALL, 0, cross=True).double(), layout((0, 0)), layout((3, 0))
    context = self_attention_contexts(SMALL, batch, torch.float64, causal=True)[True]
    out = block(states(batch), context, memory=(states(memory), AttentionContext(batch, memory)))
    assert out.shape == (0, 24)


def test_a_memory_in_another_order_is_refused() -> None:
    target, source = [[1, 2], [1, 2, 3]], [[4, 5, 6], [4]]
    AttentionContext(pack(target, sort=False), pack(source, sort=False))
    with pytest.raises(ValueError, match=r"^memory: expected its sequences in the batch's order"):
        AttentionContext(pack(target), pack(source))
    with pytest.raises(ValueError, match=r"^memory: expected its sequences in the batch's order"):
        AttentionContext(pack(target, sort=False), pack([*source, [7]], sort=False))


def test_a_memory_goes_with_cross_attention_and_with_nothing_else() -> None:
    batch, memory = layout(LENGTHS), layout(MEMORIES)
    context, x = AttentionContext(batch), states(batch).float()
    across = states(memory).float(), AttentionContext(batch, memory)
    with pytest.raises(ValueError, match=r"^memory: expected what cross-attention attends to, got None"):
        Attention(SMALL, cross=True).qkv(x, across[1])
    for cross in (False, True):
        with pytest.raises(ValueError, match=r"^memory: expected for a block with cross-attention"):
            Block(SMALL, 0, cross=cross)(x, context, memory=None if cross else across)


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("rows", [0, FEED_FORWARD_ROWS, 2 * FEED_FORWARD_ROWS + 3])
def test_a_feed_forward_of_some_rows_at_a_time_is_that_of_all(rows: int, activation: Activation) -> None:
    torch.manual_seed(0)
    part = FeedForward(replace(SMALL, activation=activation)).double()
    nn.init.normal_(part.Wo.weight)
    x = torch.randn(rows, 24, dtype=torch.float64)
    before = x.clone()
    with torch.no_grad():
        found = part(x)
    torch.testing.assert_close(found, part(x.requires_grad_()))  # with a gradient: all rows, nothing in place
    assert torch.equal(x, before)
