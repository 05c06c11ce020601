"""What attention on a batch goes by: layout, masks and positions.

Shapes: N positions, H heads, D head size, K buckets of relative positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xformer.model.config import ModelConfig
from xformer.model.packed import Packed, PackedTensors
from xformer.model.positions import alibi_slopes, rotary_table


@dataclass(frozen=True)
class AttentionContext:
    """The layout, mask and positions for attention on a batch; layers of one kind (global or local) share it.

    Attributes:
        batch: the layout of the queries.
        memory: the layout of the keys and values in cross-attention, its sequences in the same order; None in
            self-attention, where it is that of the queries.
        causal: each token attends to itself and to tokens before it.
        window: total width in tokens of local attention; None for the whole sequence.
        rotary: cosines and sines (N, D/2) of `positions.rotary_table`, or None.
        alibi_slopes: (H,), or None.
        bias_table: (K, H) bias of each bucket of relative positions (T5), or None.
        bias_max_distance: distance in tokens from which all fall into the last bucket.

    Raises:
        ValueError: the batch and the memory hold their sequences in different orders. Checked on the CPU; on
            a GPU that would wait for the device.
    """

    batch: PackedTensors
    memory: Packed | None = None
    causal: bool = False
    window: int | None = None
    rotary: tuple[Tensor, Tensor] | None = None
    alibi_slopes: Tensor | None = None
    bias_table: Tensor | None = None
    bias_max_distance: int = 128

    def __post_init__(self) -> None:
        if self.memory is None or not self.memory.order.is_cpu or not isinstance(self.batch, Packed):
            return
        if not torch.equal(self.batch.order, self.memory.order):
            raise ValueError("memory: expected its sequences in the batch's order; see pack(sort=False)")

    def options(self) -> dict[str, Any]:
        """What `xformer.kernels.attention` and its row statistics take by keyword, dropout apart."""
        memory = self.memory or self.batch
        return {
            "cu_seqlens_k": memory.cu_seqlens,
            "max_length_q": self.batch.max_length,
            "max_length_k": memory.max_length,
            "causal": self.causal,
            "window": self.window,
            "alibi_slopes": self.alibi_slopes,
            "bias_table": self.bias_table,
            "bias_max_distance": self.bias_max_distance,
        }


def self_attention_contexts(
    config: ModelConfig,
    batch: PackedTensors,
    dtype: torch.dtype,
    bias_table: Tensor | None = None,
    *,
    causal: bool = False,
    rotary: dict[bool, tuple[Tensor, Tensor]] | None = None,
) -> dict[bool, AttentionContext]:
    """The contexts of global (True) and local (False) layers.

    Args:
        config: the model's settings.
        batch: what the layers will run on.
        dtype: of the residual stream.
        bias_table: (K, H) weight of the model's `T5Bias`, if it has one.
        causal: as in `AttentionContext`.
        rotary: `rotary_tables` of more positions than the batch is long, where its sequences begin later.
    """
    device = batch.tokens.device
    slopes = alibi_slopes(config.n_heads).to(device, dtype) if config.positions == "alibi" else None
    if rotary is None:
        rotary = rotary_tables(config, batch.max_length, dtype, device)
    return {
        is_global: AttentionContext(
            batch, causal=causal, window=None if is_global else config.window, rotary=rotary.get(is_global),
            alibi_slopes=slopes, bias_table=bias_table, bias_max_distance=config.t5_max_distance,
        )
        for is_global in layer_kinds(config)
    }  # fmt: skip


def layer_kinds(config: ModelConfig) -> set[bool]:
    """The kinds of layers there are: global (True), local (False)."""
    return {config.is_global(layer) for layer in range(config.n_layers)}


def rotary_tables(
    config: ModelConfig, length: int, dtype: torch.dtype, device: torch.device
) -> dict[bool, tuple[Tensor, Tensor]]:
    """Cosines and sines (N, D/2) for each kind of layer, in at least fp32; none if positions are not rotary.

    Args:
        config: the model's settings.
        length: N, in tokens.
        dtype: of the residual stream.
        device: where to put them.
    """
    if config.positions != "rotary":
        return {}
    tables, dtype = {}, torch.promote_types(dtype, torch.float32)
    for is_global in layer_kinds(config):
        base = config.rotary_base if is_global else config.rotary_base_local
        cos, sin = rotary_table(length, config.d_head, base, device=device)
        tables[is_global] = cos.to(dtype), sin.to(dtype)
    return tables
