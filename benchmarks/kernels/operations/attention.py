"""The operation `attention`: over packed sequences, forward and backward.

Shapes: T tokens, H heads, D head size, R rows of the bias table.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..operation import Amount, Contender, DeviceKind, Inputs, Operation, random_normal
from ..record import Direction
from .attention_cases import T5_BUCKETS, AttentionCase, attention_cases
from .attention_peers import attention_contenders
from .attention_truth import by_autograd, by_hand


class Attention(Operation[AttentionCase]):
    """The operation `attention`."""

    name = "attention"
    gpu_seconds = 190.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[AttentionCase]:
        """Ragged and dense, plain and with masks and biases."""
        return attention_cases(kind, quick)

    def contenders(self) -> Sequence[Contender[AttentionCase]]:
        """Ours, the four of SDPA, FlexAttention, varlen_attn, the formula, flash-attn."""
        return attention_contenders()

    def draw(self, case: AttentionCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw q, k, v and out's gradient (T, H, D); the bias table (R, H) is fp32, as parameters are."""
        normal = random_normal(seed, dtype, device)
        shape = (case.n_tokens, case.n_heads, case.d_head)
        leaves = {name: normal(*shape) for name in "qkv"}
        if case.bias:
            table = normal(T5_BUCKETS, case.n_heads)
            leaves["bias_table"] = table.to(torch.promote_types(dtype, torch.float32))
        return Inputs(leaves, {}, {"out": normal(*shape)})

    def truth(self, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
        """Results and gradients by the equations, in fp64."""
        return by_hand(case, inputs.double())

    def plain(self, case: AttentionCase, inputs: Inputs) -> dict[str, Tensor]:
        """The formula, with autograd and without padding."""
        return by_autograd(case, inputs)

    def amount(self, case: AttentionCase, dtype: torch.dtype, direction: Direction) -> Amount:
        """Counted by the visible pairs of query and key."""
        return case.amount(dtype, direction)
