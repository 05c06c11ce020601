"""Small models to look into, without a run: random weights, token ids in place of words."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TextTokens, TokenisedText
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel

ROWS = ([5, 6, 7, 8, 9, 10, 11], [12, 13], [14, 15, 16, 17], [18])
SETTINGS: dict[str, Any] = {
    "vocab_size": 41, "d_model": 24, "n_heads": 3, "d_ff": 16, "n_layers": 3, "window": 4,
    "zero_init_residual": False, "init_std": 0.4,
}  # fmt: skip


def tokens(ids: list[int]) -> TokenisedText:
    """A text whose words are its token ids."""
    words = [f"w{i}" for i in ids]
    spans, place = [], 0
    for word in words:
        spans.append((place, place + len(word)))
        place += len(word) + 1
    n = len(ids)
    return TokenisedText(
        " ".join(words),
        np.array(ids, dtype=np.int64),
        tuple(words),
        tuple(spans),
        (False,) * n,
        tuple(range(n)),
    )


TOKENS = TextTokens(
    lambda text: tokens([int(word.removeprefix("w")) for word in text.split()]),
    lambda i: f"w{i}",
    41,
    frozenset(range(5)),
    4,
)


def subject(*, dtype: torch.dtype = torch.float64, seed: int = 0, **settings: Any) -> Subject:
    """A subject of random weights; the outputs of its blocks are not zero."""
    torch.manual_seed(seed)
    network = MultilingualModel(ModelConfig(**SETTINGS | settings), "weighted").to(dtype).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:  # norms, biases and the pooling would be ones and zeros
                parameter.add_(0.1 * torch.randn_like(parameter))
    return Subject("small", network, TOKENS, torch.device("cpu"), nullcontext, 8, ("de", "en"), layer=2)


def texts() -> list[TokenisedText]:
    """Texts of several lengths, not sorted by length."""
    return [tokens(ids) for ids in (ROWS[1], ROWS[0], ROWS[3], ROWS[2])]
