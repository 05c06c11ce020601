"""A small model with random weights, and texts of one character a token."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from xformer.inspect.analysis.words import split_words, words_of_spans
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TextTokens, TokenisedText
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel

MASK, FIRST_LETTER, VOCABULARY = 4, 5, 80


def tokenise(text: str) -> TokenisedText:
    """Each character but spaces is a token; `?` is the mask."""
    spans = [(k, k + 1) for k, sign in enumerate(text) if not sign.isspace()]
    pieces = [text[start] for start, _ in spans]
    ids = [MASK if piece == "?" else FIRST_LETTER + ord(piece) % 64 for piece in pieces]
    words = words_of_spans(spans, split_words(text))
    special = tuple(piece == "?" for piece in pieces)
    return TokenisedText(text, np.array(ids, dtype=np.int64), tuple(pieces), tuple(spans), special, words)


def small_subject(*, layer: int | None = None, **settings: Any) -> Subject:
    """A subject in fp64 on the CPU, its weights large enough for heads and feed-forwards to matter.

    Args:
        layer: after which sentence vectors are taken; None for the last.
        settings: of `ModelConfig`, beside those of this function.
    """
    config = ModelConfig(
        **{
            "vocab_size": VOCABULARY, "d_model": 16, "n_layers": 3, "n_heads": 4, "d_ff": 24,
            "max_length": 64, "bigrams": 0, "pool_after_norm": False, **settings,
        }
    )  # fmt: skip
    torch.manual_seed(0)
    network = MultilingualModel(config).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.4)
    return Subject(
        name="small",
        network=network,
        tokens=TextTokens(tokenise, chr, VOCABULARY, frozenset(range(FIRST_LETTER)), MASK),
        device=torch.device("cpu"),
        computing=nullcontext,
        max_length=config.max_length,
        layer=layer,
    )
