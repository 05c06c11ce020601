"""A small model with random weights, and words as its tokens: a subject without a run."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TextTokens, TokenisedText
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel

VOCABULARY = 97


def tokenise(text: str) -> TokenisedText:
    """`<s>`, and each word as a token; a mark behind a word is one of its own."""
    pieces, spans, begin = ["<s>"], [(0, 0)], 0
    for word in text.split(" "):
        bare = word.rstrip(",.!")
        for part, start in ((bare, begin), (word[len(bare) :], begin + len(bare))):
            if part:
                pieces.append(part)
                spans.append((start, start + len(part)))
        begin += len(word) + 1
    ids = [0, *(1 + sum(piece.encode()) % (VOCABULARY - 2) for piece in pieces[1:])]
    special = tuple(piece == "<s>" for piece in pieces)
    words = tuple(range(-1, len(pieces) - 1))
    return TokenisedText(text, np.array(ids), tuple(pieces), tuple(spans), special, words)


def small_subject(seed: int = 0, **settings: Any) -> Subject:
    """A model of two layers with three heads, whose weights are large enough that heads differ."""
    sizes: dict[str, Any] = dict(
        vocab_size=VOCABULARY,
        d_model=12,
        n_layers=2,
        n_heads=3,
        d_ff=10,
        max_length=32,
        bigrams=0,
        window=None,
    )
    config = ModelConfig(**sizes | {"zero_init_residual": False, "init_std": 0.6} | settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MultilingualModel(config, "mean").eval().requires_grad_(False)
    tokens = TextTokens(tokenise, str, VOCABULARY, frozenset({0, VOCABULARY - 1}), VOCABULARY - 1)
    return Subject("small", network, tokens, torch.device("cpu"), nullcontext, config.max_length)
