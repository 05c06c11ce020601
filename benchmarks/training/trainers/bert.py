"""Hugging Face's BERT at a given number of parameters: model, optimizer, step, masking.

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
    """The batch sizes of the peers: small on a CPU, for more steps in the same time; larger on a GPU.

    Attributes:
        texts: of the padded masked LM.
        blocks: of the masked LM over blocks.
        pairs: of the contrastive loss.
        static_pairs: of the contrastive loss over a mean of embeddings, where a pair costs very little.
    """

    texts: int
    blocks: int
    pairs: int
    static_pairs: int

    @classmethod
    def on(cls, device: torch.device) -> StepSizes:
        """The sizes for a device."""
        if device.type == "cpu":
            return cls(texts=32, blocks=8, pairs=64, static_pairs=512)
        return cls(texts=256, blocks=256, pairs=256, static_pairs=2048)


def usual_precision(device: torch.device) -> Precision:
    """The default precision of trainers on a device."""
    return "fp32" if device.type == "cpu" else "bf16"


def bert_config(model: ModelConfig, parameters: int, length: int, dropout: float) -> Any:
    """BERT of the same width, depth, heads and vocabulary; its feed-forward width makes it as large.

    Args:
        model: the size of xformer's model.
        parameters: its number of parameters.
        length: longest sequence, special tokens included.
        dropout: of all layers.

    Returns:
        A `transformers.BertConfig`.
    """
    from transformers import BertConfig

    c, layers, v = model.d_model, model.n_layers, model.rows
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
    """AdamW with the groups of the Trainer of transformers: no weight decay of vectors."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def descend(
    optimizer: torch.optim.Optimizer, loss: Tensor, lr: float, progress: float, warmup: float
) -> None:
    """A step: backward, clip at 1, update. The learning rate rises in the warm-up and then falls to 0.

    Args:
        optimizer: of the parameters.
        loss: to be reduced.
        lr: highest learning rate.
        progress: share of the time that is over.
        warmup: share of the time in which the rate rises.
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
    """Hide 15% of the tokens as BERT does: 80% become the mask, 10% a random token, 10% stay.

    Args:
        ids: (B, N).
        vocabulary: V.
        generator: of the random numbers.

    Returns:
        The visible tokens (B, N), and the labels (B, N), `IGNORED` where no token is hidden.
    """
    draw = torch.rand(ids.shape, generator=generator)
    hidden = (draw < RATE) & (ids >= FIRST_BYTE_ID)
    labels = torch.where(hidden, ids, IGNORED)
    # Below the rate the number is uniform, so it also chooses among the three.
    behind = draw / RATE
    shown = torch.where(hidden & (behind < 0.8), MASK_ID, ids)
    other = torch.randint(FIRST_BYTE_ID, vocabulary, ids.shape, generator=generator)
    return torch.where(hidden & (behind >= 0.8) & (behind < 0.9), other, shown), labels
