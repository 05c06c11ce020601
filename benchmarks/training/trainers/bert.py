"""Hugging Face's BERT at a given number of parameters, its optimizer, and how it is trained here.

Shapes: B sequences, N length with specials, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from xformer.model.config import ModelConfig
from xformer.tokenizer.special import FIRST_BYTE_ID, MASK_ID, PAD_ID

Precision = Literal["fp32", "bf16"]

RATE = 0.15
IGNORED = -100


@dataclass(frozen=True)
class StepSizes:
    """How much a peer learns from in a step: on a CPU little, or there would be few steps; a GPU wants more.

    Attributes:
        texts: of the padded masked LM.
        blocks: of the one over blocks.
        pairs: of the contrastive loss.
        static_pairs: of that over a mean of embeddings, which costs next to nothing a pair.
    """

    texts: int
    blocks: int
    pairs: int
    static_pairs: int

    @classmethod
    def on(cls, device: torch.device) -> StepSizes:
        """Those that suit a device."""
        if device.type == "cpu":
            return cls(texts=32, blocks=8, pairs=64, static_pairs=512)
        return cls(texts=256, blocks=256, pairs=256, static_pairs=2048)


def usual_precision(device: torch.device) -> Precision:
    """What people train in on a device who try nothing else."""
    return "fp32" if device.type == "cpu" else "bf16"


def bert_config(model: ModelConfig, parameters: int, length: int, dropout: float) -> Any:
    """BERT of the same width, depth, heads and vocabulary, its feed-forward as wide as makes it as large.

    Args:
        model: what it stands beside.
        parameters: of that, all together.
        length: longest sequence, special tokens included.
        dropout: everywhere.

    Returns:
        A `transformers.BertConfig`.
    """
    from transformers import BertConfig

    c, layers, v = model.d_model, model.n_layers, model.vocab_size
    embeddings = (v + length + 2) * c + 2 * c
    attention = 4 * (c * c + c)
    head = c * c + c + 2 * c + v
    rest = parameters - embeddings - head - layers * (attention + c + 4 * c)
    width = max(c, round(rest / max(1, layers) / (2 * c + 1)))
    return BertConfig(
        vocab_size=v,
        hidden_size=c,
        num_hidden_layers=layers,
        num_attention_heads=model.n_heads,
        intermediate_size=width,
        max_position_embeddings=length,
        pad_token_id=PAD_ID,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


def masked_lm_model(config: Any, seed: int) -> Any:
    """A `BertForMaskedLM` with random weights, ready to train."""
    from transformers import BertForMaskedLM

    torch.manual_seed(seed)
    return BertForMaskedLM(config).train()


def optimizer_of(model: nn.Module, lr: float) -> torch.optim.AdamW:
    """AdamW as the Trainer of transformers groups it: no decay of vectors."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def descend(
    optimizer: torch.optim.Optimizer, loss: Tensor, lr: float, progress: float, warmup: float
) -> None:
    """One step: backward, clip at 1, update at a rate that rises over the warm-up and falls to the end.

    Args:
        optimizer: whose parameters the loss depends on.
        loss: what is descended.
        lr: highest rate.
        progress: share of the time that is over.
        warmup: share over which the rate rises.
    """
    factor = min((progress + 1e-3) / warmup, (1.0 - progress) / (1.0 - warmup))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] = lr * max(factor, 0.0)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


def hide(ids: Tensor, vocabulary: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hide 15% of the tokens as BERT does: 80% behind the mask, 10% behind a random token, 10% as they are.

    Args:
        ids: (B, N).
        vocabulary: V.
        generator: of what is hidden.

    Returns:
        What is shown (B, N), and the labels (B, N), `IGNORED` where nothing is hidden.
    """
    chance = torch.rand(ids.shape, generator=generator)
    hidden = (chance < RATE) & (ids >= FIRST_BYTE_ID)
    labels = torch.where(hidden, ids, IGNORED)
    # What is below the rate is uniform there, so its tenths say which of the three it is.
    behind = chance / RATE
    shown = torch.where(hidden & (behind < 0.8), MASK_ID, ids)
    other = torch.randint(FIRST_BYTE_ID, vocabulary, ids.shape, generator=generator)
    return torch.where(hidden & (behind >= 0.8) & (behind < 0.9), other, shown), labels
